//! The machine a guest sees, and QEMU's command line for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::accelerator::Accelerator;

/// The two flash chips of the firmware.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// OVMF's code with Secure Boot; shared, never written.
    pub code: PathBuf,
    /// The variable store; the machine writes to a private copy.
    pub variables: PathBuf,
}

/// A disk of the machine, in the order in which the guest finds them.
#[derive(Clone, Debug)]
pub enum Disk {
    /// A raw image that stays as it is: what the guest writes goes away with the
    /// machine.
    Image(PathBuf),
    /// A raw image that the guest writes to, and that the caller keeps.
    Own(PathBuf),
    /// As [`Disk::Own`], on a stick in a USB port; no firmware boots from it.
    Stick(PathBuf),
}

/// What a person types on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyboard {
    /// A PS/2 keyboard, as laptops have.
    #[default]
    Ps2,
    /// A USB keyboard, on a board without a PS/2 controller.
    Usb,
}

/// Where the serial console goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serial {
    /// To [`crate::Console`].
    #[default]
    Captured,
    /// To the terminal of the person who runs us; Ctrl-A X leaves.
    Terminal,
}

/// A machine to be started.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// A word for messages and directory names.
    pub name: String,
    /// The firmware.
    pub firmware: Firmware,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// TCG or KVM.
    pub accelerator: Accelerator,
    /// Its keyboard.
    pub keyboard: Keyboard,
    /// Memory in MiB.
    pub memory: u32,
    /// Virtual processors.
    pub processors: u32,
    /// Strings of SMBIOS type 11, which boot software reads as parameters.
    pub vendor_strings: Vec<String>,
    /// Where the serial console goes.
    pub serial: Serial,
    /// Whether there is a second serial line (`ttyS1`), which [`crate::Machine::second_line`]
    /// reads: for what programs of an instrumented image report past console and log.
    pub second_line: bool,
    /// Whether all that goes over the TPM's bus is written down; see
    /// [`crate::Machine::tpm_traffic`].
    pub trace_tpm: bool,
    /// Where variables and TPM state persist; `None`: nowhere.
    pub state: Option<PathBuf>,
    /// Where logs go and stay; `None`: a directory that goes away with
    /// the machine.
    pub record: Option<PathBuf>,
}

impl Configuration {
    /// The test machine: two processors, 1 GiB, console captured, nothing kept.
    pub fn new(name: &str, firmware: Firmware, accelerator: Accelerator) -> Self {
        Self {
            name: name.to_owned(),
            firmware,
            disks: Vec::new(),
            accelerator,
            keyboard: Keyboard::default(),
            memory: 1024,
            processors: 2,
            vendor_strings: Vec::new(),
            serial: Serial::Captured,
            second_line: false,
            trace_tpm: false,
            state: None,
            record: None,
        }
    }

    /// Adds a disk.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disks.push(disk);
        self
    }
}

/// The files and sockets that were prepared for one start.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) variables: PathBuf,
    pub(crate) tpm_socket: PathBuf,
    pub(crate) serial_socket: PathBuf,
    pub(crate) second_line_socket: PathBuf,
    pub(crate) monitor_socket: PathBuf,
}

/// A path as a value of a QEMU option, where a comma is doubled.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// QEMU's arguments for `machine`.
pub(crate) fn arguments(machine: &Configuration, files: &Prepared) -> Vec<OsString> {
    let mut line: Vec<String> = Vec::new();
    let mut add = |parts: &[&str]| line.extend(parts.iter().map(|part| (*part).to_owned()));

    add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    // SMM keeps the variable store out of the reach of the guest's kernel; the
    // flash below accepts writes only from SMM.
    let board = match machine.keyboard {
        Keyboard::Ps2 => "q35,smm=on",
        Keyboard::Usb => "q35,smm=on,i8042=off",
    };
    add(&["-machine", board]);
    add(&["-global", "driver=cfi.pflash01,property=secure,value=on"]);
    // A guest's suspend would look like a hang to whoever waits.
    add(&["-global", "ICH9-LPC.disable_s3=1"]);
    match machine.accelerator {
        Accelerator::Kvm => add(&["-accel", "kvm", "-cpu", "host"]),
        // One thread for all processors: with several, QEMU before 8.1 may go on with
        // the old translation of an instruction that another processor has replaced.
        // Kernels replace theirs at every boot, and one boot in twenty died of it
        // ("Oops: int3"). It costs no time on a host that has other things to do.
        Accelerator::Tcg => add(&["-accel", "tcg,thread=single", "-cpu", TCG_PROCESSOR]),
    }
    add(&["-smp", &machine.processors.to_string()]);
    add(&["-m", &format!("{}M", machine.memory)]);

    let code = value(&machine.firmware.code);
    let variables = value(&files.variables);
    add(&[
        "-drive",
        &format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
    ]);
    add(&[
        "-drive",
        &format!("if=pflash,unit=1,format=raw,file={variables}"),
    ]);

    let tpm = value(&files.tpm_socket);
    add(&["-chardev", &format!("socket,id=tpm,path={tpm}")]);
    add(&[
        "-tpmdev",
        "emulator,id=tpm,chardev=tpm",
        "-device",
        "tpm-crb,tpmdev=tpm",
    ]);

    let usb_keyboard = machine.keyboard == Keyboard::Usb;
    let is_stick = |disk: &Disk| matches!(disk, Disk::Stick(_));
    if usb_keyboard || machine.disks.iter().any(is_stick) {
        add(&["-device", "qemu-xhci,id=usb"]);
    }
    if usb_keyboard {
        add(&["-device", "usb-kbd,bus=usb.0"]);
    }
    for (index, disk) in machine.disks.iter().enumerate() {
        let stick = is_stick(disk);
        let (disk, keep) = match disk {
            Disk::Image(path) => (value(path), "snapshot=on"),
            Disk::Own(path) | Disk::Stick(path) => (value(path), "snapshot=off"),
        };
        // What a disk loses at a power cut is the campaign's business; a plain run
        // should not wait for the host's disk.
        add(&[
            "-drive",
            &format!("if=none,id=disk{index},format=raw,{keep},cache=unsafe,file={disk}"),
        ]);
        let order = index + 1;
        let device = if stick {
            format!("usb-storage,bus=usb.0,drive=disk{index},removable=on")
        } else {
            format!("virtio-blk-pci,drive=disk{index},bootindex={order},serial=disk{index}")
        };
        add(&["-device", &device]);
    }
    add(&["-object", "rng-random,id=rng,filename=/dev/urandom"]);
    add(&["-device", "virtio-rng-pci,rng=rng"]);
    add(&["-device", "virtio-vga", "-nic", "none"]);

    let serial = value(&files.serial_socket);
    match machine.serial {
        Serial::Captured => add(&["-chardev", &format!("socket,id=serial,path={serial}")]),
        Serial::Terminal => {
            // `signal=off`: Ctrl-C belongs to the guest; leaving is Ctrl-A X.
            add(&["-chardev", "stdio,id=serial,mux=on,signal=off"]);
            add(&["-mon", "chardev=serial,mode=readline"]);
        }
    }
    add(&["-serial", "chardev:serial"]);
    if machine.second_line {
        let socket = value(&files.second_line_socket);
        add(&["-chardev", &format!("socket,id=second,path={socket}")]);
        add(&["-serial", "chardev:second"]);
    }
    let monitor = value(&files.monitor_socket);
    add(&["-chardev", &format!("socket,id=monitor,path={monitor}")]);
    add(&["-mon", "chardev=monitor,mode=control"]);

    for text in &machine.vendor_strings {
        add(&[
            "-smbios",
            &format!("type=11,value={}", text.replace(',', ",,")),
        ]);
    }
    line.into_iter().map(OsString::from).collect()
}

/// Everything TCG can do, with three exceptions: five-level paging, which lengthens
/// every page walk and which a guest of 1 GiB does not need; `cmpxchg16b`, whose
/// emulation in QEMU 7.2 now and then leaves garbage in EFLAGS, so that about one
/// boot in ten of a stock kernel died in the slab allocator; and fast string moves
/// (`erms`, `fsrm`), which make a kernel clear memory byte by byte, each byte being
/// a turn of a loop here: ours clears all it frees, and started 0.7 s later.
const TCG_PROCESSOR: &str = "max,la57=off,cx16=off,erms=off,fsrm=off";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Configuration) -> String {
        let files = Prepared {
            variables: "/run/vars".into(),
            tpm_socket: "/run/tpm".into(),
            serial_socket: "/run/serial".into(),
            second_line_socket: "/run/second".into(),
            monitor_socket: "/run/monitor".into(),
        };
        let all = arguments(machine, &files);
        let words: Vec<String> = all
            .iter()
            .map(|it| it.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    fn machine() -> Configuration {
        let firmware = Firmware {
            code: "/code".into(),
            variables: "/vars".into(),
        };
        Configuration::new("demo", firmware, Accelerator::Tcg)
            .disk(Disk::Image("/run/a,b.img".into()))
            .disk(Disk::Own("/run/c.img".into()))
    }

    #[test]
    fn the_variable_store_is_guarded_by_smm() {
        let line = line(&machine());
        assert!(line.contains("-machine q35,smm=on"));
        assert!(line.contains("driver=cfi.pflash01,property=secure,value=on"));
        assert!(line.contains("unit=0,format=raw,readonly=on,file=/code"));
        assert!(line.contains("unit=1,format=raw,file=/run/vars"));
    }

    #[test]
    fn there_is_no_network_and_commas_stay_in_their_value() {
        let mut machine = machine();
        machine.vendor_strings = vec!["io.systemd.x=a,b".to_owned()];
        let line = line(&machine);
        assert!(line.contains("-nic none"));
        assert!(line.contains("snapshot=on,cache=unsafe,file=/run/a,,b.img"));
        assert!(line.contains("snapshot=off,cache=unsafe,file=/run/c.img"));
        assert!(line.contains("type=11,value=io.systemd.x=a,,b"));
        assert!(line.find("bootindex=1").unwrap() < line.find("bootindex=2").unwrap());
    }

    #[test]
    fn usb_is_there_when_something_is_plugged_in() {
        assert!(!line(&machine()).contains("usb"));
        let stick = line(&machine().disk(Disk::Stick("/run/stick.img".into())));
        assert!(stick.contains("qemu-xhci,id=usb"));
        assert!(stick.contains("usb-storage,bus=usb.0,drive=disk2"));
        assert!(!stick.contains("bootindex=3") && !stick.contains("usb-kbd"));
        let mut machine = machine();
        machine.keyboard = Keyboard::Usb;
        let keyboard = line(&machine);
        assert!(keyboard.contains("i8042=off") && keyboard.contains("usb-kbd,bus=usb.0"));
    }

    #[test]
    fn the_terminal_gets_the_console_and_the_way_out() {
        let mut machine = machine();
        machine.serial = Serial::Terminal;
        let line = line(&machine);
        assert!(line.contains("stdio,id=serial,mux=on,signal=off"));
        assert!(!line.contains("/run/serial"));
    }

    #[test]
    fn a_second_line_comes_after_the_console() {
        let mut machine = machine();
        assert!(!line(&machine).contains("/run/second"));
        machine.second_line = true;
        let line = line(&machine);
        assert!(line.find("chardev:serial").unwrap() < line.find("chardev:second").unwrap());
    }
}
