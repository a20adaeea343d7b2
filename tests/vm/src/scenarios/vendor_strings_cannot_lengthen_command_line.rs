//! systemd-stub adds the words of an SMBIOS string to the signed command line: who
//! configures the virtual machine (or flashes a board) can speak through it.

use anyhow::Result;

use crate::bench::{Bench, expect_initramfs_refusal};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "vendor_strings_cannot_lengthen_command_line",
    claim: "Words that SMBIOS strings add to the command line are noticed and the boot is refused.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let mut machine = bench.machine("machine").disk(bench.shipped_disk());
    machine.vendor_strings = vec!["io.systemd.stub.kernel-cmdline-extra=init=/bin/sh".to_owned()];
    // That the added word is quoted proves that it did reach the kernel.
    expect_initramfs_refusal(&machine, &["command line", "\"init=/bin/sh\" was added"])?;
    Ok(())
}
