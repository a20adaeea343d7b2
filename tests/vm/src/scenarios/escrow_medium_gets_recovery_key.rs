//! A first boot that nobody watches, with the stick that somebody prepared; then the
//! machine gets another TPM, and somebody comes with the key and a USB keyboard.

use anyhow::{Context, Result, ensure};
use bastide_vm::{Disk, Keyboard};
use bastide_vm::signs::{PAGE, RECOVERY_PROMPT, REFUSED};

use crate::bench::{Bench, FIRST_BOOT, start};
use crate::disk_copy::DiskCopy;
use crate::installation::root_hash;
use crate::page::{Page, expect_up, power_off};
use crate::provisioned::is_recovery_key;
use crate::recovery::{Shut, expect_opened_by_person, expect_prompt_or_refusal};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "escrow_medium_gets_recovery_key",
    claim: "With an escrow medium in a USB port the recovery key is written there and shown to nobody; typed \
            on a USB keyboard it opens the state of a machine whose TPM was replaced, whether or not that is \
            sealed again.",
    class: Class::Default,
    run,
};

/// The partition's name.
const NAME: &str = "bastide-escrow";

/// What the machine says of it.
const KEPT: &str = "bastide: state: recovery key kept on sda1";

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.new_later_machine("machine")?;
    let path = bench.record().join("escrow.img");
    let medium = DiskCopy::with_fat(&path, NAME)?;
    let mut running = start(&machine.inhabit(bench.machine("first")).disk(Disk::Stick(path)))?;
    let console = running.console();
    console.expect_any(&[KEPT], &[PAGE, RECOVERY_PROMPT, REFUSED], FIRST_BOOT)?;
    console.expect_any(&[PAGE], &[RECOVERY_PROMPT, REFUSED], FIRST_BOOT)?;
    Page::read(console)?;
    let shown = console.text().split_whitespace().any(is_recovery_key);
    ensure!(!shown, "the console shows a recovery key although there is an escrow medium");
    power_off(&mut running)?;

    let files = medium.boot_files()?;
    let [file] = files.as_slice() else {
        anyhow::bail!("one file was to be on the escrow medium: {files:?}");
    };
    let key = String::from_utf8(medium.read_boot_file(file)?)?;
    let key = key.trim();
    ensure!(is_recovery_key(key), "{file} on the escrow medium holds no recovery key");

    machine.replace_tpm()?;
    let mut board = machine.inhabit(bench.machine("replaced-tpm"));
    board.keyboard = Keyboard::Usb;
    let mut running = start(&board)?;
    ensure!(
        expect_prompt_or_refusal(running.console())? == Shut::Asks,
        "with another TPM the machine does not ask for the recovery key"
    );
    running.monitor().type_line(key)?;
    expect_opened_by_person(running.console(), false)
        .context("with the key of the escrow medium, typed on a USB keyboard")?;
    expect_up(&running, &root_hash(bench.later()?)?).context("without sealing again")?;
    Ok(())
}
