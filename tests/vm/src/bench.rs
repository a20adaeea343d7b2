//! What a scenario works with: the image as shipped, an attacker's materials, and
//! machines to try them on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bastide_boot::{Geometry, HashOffset, RootHash};
use bastide_efi::Fingerprint;
use bastide_vm::signs::{ENTERING_CORE, KERNEL_RUNS, NOTHING_BOOTS, PAGE, REFUSED};
use bastide_vm::{Accelerator, Configuration, Disk, Firmware, Machine, rescue};

use crate::disk_copy::DiskCopy;
use crate::installation::{self, Installation};
use crate::provisioned::{Provisioned, Shared};

/// How long a step of a boot may take on a slow, busy host.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// How long a machine may take to make its state.
pub const FIRST_BOOT: Duration = Duration::from_secs(900);

/// Where things are, for all scenarios.
#[derive(Clone, Debug)]
pub struct Places {
    /// What the build made: `out/<product>`.
    pub images: PathBuf,
    /// What the step of `bastide_vm::hostile` made.
    pub materials: PathBuf,
    /// What the build of product `later` made: the same, as a later release that reports
    /// how its log verifies.
    pub later: Option<PathBuf>,
    /// What the build of product `trial` made: a later release, signed by the same owner,
    /// with hostile services in it.
    pub trial: Option<PathBuf>,
    /// The rescue machine's disk.
    pub rescue: Option<PathBuf>,
    /// The owner's keys; only certificates are read.
    pub keys: PathBuf,
    /// The fuzz targets as programs, when campaigns were asked for.
    pub fuzzers: Option<PathBuf>,
    /// Where failures leave their records and campaigns their reports.
    pub reports: PathBuf,
}

/// The directory of the machine that has had its first boot.
pub const PROVISIONED: &str = "provisioned";

/// How long a task of the rescue machine may take.
const RESCUE: Duration = Duration::from_secs(600);

/// One scenario's bench.
#[derive(Debug)]
pub struct Bench {
    places: Places,
    accelerator: Accelerator,
    /// The machine that has had its first boot.
    shared: Arc<Shared>,
    /// Where this scenario's machines leave their records.
    record: PathBuf,
    /// How long a campaign lasts.
    pub campaign: Duration,
    /// Where a campaign's random choices start.
    pub seed: u64,
}

impl Bench {
    /// A bench that leaves its records in `record`.
    pub fn new(
        places: &Places,
        accelerator: Accelerator,
        shared: Arc<Shared>,
        record: PathBuf,
        campaign: Duration,
        seed: u64,
    ) -> Self {
        Self {
            places: places.clone(),
            accelerator,
            shared,
            record,
            campaign,
            seed,
        }
    }

    /// A file that the build made.
    pub fn image(&self, name: &str) -> PathBuf {
        self.places.images.join(name)
    }

    /// The directory of what the build made.
    pub fn images(&self) -> &Path {
        &self.places.images
    }

    /// The directory of the fuzz targets.
    pub fn fuzzers(&self) -> Result<&Path> {
        let directory = self.places.fuzzers.as_deref();
        directory.context("no --fuzzers: the fuzz targets were not built")
    }

    /// Where reports go.
    pub fn reports(&self) -> &Path {
        &self.places.reports
    }

    /// This scenario's own directory.
    pub fn record(&self) -> &Path {
        &self.record
    }

    /// The path of one of the attacker's materials.
    pub fn material_path(&self, name: &str) -> PathBuf {
        self.places.materials.join(name)
    }

    /// One of the attacker's materials.
    pub fn material(&self, name: &str) -> Result<Vec<u8>> {
        read(&self.material_path(name))
    }

    /// A machine with the owner's keys enrolled and no disk yet.
    pub fn machine(&self, name: &str) -> Configuration {
        let firmware = Firmware {
            code: self.image("OVMF_CODE.fd"),
            variables: self.image("OVMF_VARS.fd"),
        };
        let mut machine = Configuration::new(name, firmware, self.accelerator);
        machine.record = Some(self.record.join(name));
        machine
    }

    /// A machine whose firmware has no keys, so that Secure Boot is off.
    pub fn machine_without_secure_boot(&self, name: &str) -> Configuration {
        let mut machine = self.machine(name);
        machine.firmware.variables = self.material_path("keyless-variables.fd");
        machine
    }

    /// The machine that has had its first boot. Its parts are shared: look, but start
    /// only copies of it.
    pub fn provisioned(&self) -> Result<Arc<Provisioned>> {
        let directory = self.places.reports.join(PROVISIONED);
        let mut machine = self.machine(PROVISIONED);
        machine.record = None;
        self.shared
            .get(&machine, &directory, &self.image("disk.img"))
    }

    /// That machine's recovery key.
    pub fn recovery_key(&self) -> Result<String> {
        Ok(self.provisioned()?.recovery_key.clone())
    }

    /// That machine, to be switched on once: what it writes goes away.
    pub fn provisioned_machine(&self, name: &str) -> Result<Configuration> {
        let lent = self.provisioned()?.installation.lend(&self.place(name))?;
        Ok(lent.inhabit(self.machine(name)))
    }

    /// A copy of that machine, to be attacked and switched on as often as one likes.
    pub fn own_copy(&self, name: &str) -> Result<Installation> {
        self.provisioned()?.installation.copy(&self.place(name))
    }

    /// Where the belongings of one of this scenario's machines lie.
    fn place(&self, name: &str) -> PathBuf {
        self.record.join(format!("{name}-machine"))
    }

    /// What the build of product `later` made.
    pub fn later(&self) -> Result<&Path> {
        let directory = self.places.later.as_deref();
        directory.context("no --later: the later release was not built")
    }

    /// A copy of the machine that has had its first boot, with the release `later`.
    pub fn later_machine(&self, name: &str) -> Result<Installation> {
        let machine = self.own_copy(name)?;
        machine.install_release(self.later()?)?;
        Ok(machine)
    }

    /// A machine with the release `later` that was never switched on.
    pub fn new_later_machine(&self, name: &str) -> Result<Installation> {
        Installation::new(&self.place(name), &self.later()?.join("disk.img"))
    }

    /// What the build of product `trial` made.
    pub fn trial(&self) -> Result<&Path> {
        let directory = self.places.trial.as_deref();
        directory.context("no --trial: the product with the hostile services was not built")
    }

    /// A copy of the machine that has had its first boot, with the later release `trial`.
    pub fn trial_machine(&self, name: &str) -> Result<Installation> {
        let machine = self.own_copy(name)?;
        machine.install_release(self.trial()?)?;
        Ok(machine)
    }

    /// Has the rescue machine do `task`, a bash script, with `suspect` as its third disk;
    /// gives the words of its lines that begin with `result: `. With `board` it is that
    /// machine's TPM and firmware, else new ones.
    pub fn rescue(
        &self,
        name: &str,
        task: &str,
        suspect: &Disk,
        board: Option<&Installation>,
    ) -> Result<Vec<String>> {
        let rescue = self.places.rescue.as_deref();
        let rescue = rescue.context("no --rescue: the rescue machine's disk was not made")?;
        let mut machine = self.machine(name);
        if let Some(board) = board {
            machine = board.board_of(machine);
        }
        let disks = std::slice::from_ref(suspect);
        let output = rescue::run(machine, rescue, task, disks, RESCUE)
            .with_context(|| format!("in the rescue machine ({name})"))?;
        let results = output
            .lines()
            .filter_map(|line| line.trim().strip_prefix("result: "));
        Ok(results.map(str::to_owned).collect())
    }

    /// The disk as shipped, on which no state is made yet.
    pub fn shipped_disk(&self) -> Disk {
        Disk::Image(self.image("disk.img"))
    }

    /// A copy of the shipped disk, for an attacker to change.
    /// No state is made on it yet: for attacks that end the boot before.
    pub fn copy_disk(&self, name: &str) -> Result<DiskCopy> {
        fs::create_dir_all(&self.record)?;
        DiskCopy::new(
            &self.image("disk.img"),
            &self.record.join(format!("{name}.img")),
        )
    }

    /// The root hash that the build printed.
    pub fn root_hash(&self) -> Result<RootHash> {
        installation::root_hash(&self.places.images)
    }

    /// The areas of the Core, from the signed command line.
    pub fn geometry(&self) -> Result<Geometry> {
        let line = read(&self.image("cmdline"))?;
        let offset: HashOffset = bastide_boot::CommandLine::parse(&line)?.hash_offset;
        Ok(Geometry::new(offset))
    }

    /// The fingerprint of one of the owner's certificates.
    pub fn owner_fingerprint(&self, name: &str) -> Result<Fingerprint> {
        let path = self.places.keys.join(format!("{name}.crt"));
        let certificate = pem::parse(read(&path)?)
            .with_context(|| format!("{} is no certificate", path.display()))?;
        Ok(Fingerprint::of(certificate.contents()))
    }
}

/// Switches a machine on.
pub fn start(machine: &Configuration) -> Result<Machine> {
    Ok(Machine::start(machine)?)
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Boots and expects that firmware or boot loader refuse with each of `refusals`, in
/// their order, that nothing else boots, and that no kernel ever ran.
pub fn expect_firmware_refusal(machine: &Configuration, refusals: &[&str]) -> Result<()> {
    let mut running = start(machine)?;
    for refusal in refusals {
        running
            .console()
            .expect_any(&[refusal], KERNEL_RUNS, PATIENCE)?;
    }
    running
        .console()
        .expect_any(&[NOTHING_BOOTS], KERNEL_RUNS, PATIENCE)?;
    running.console().expect_none(KERNEL_RUNS, Duration::ZERO)?;
    running.cut_power()?;
    Ok(())
}

/// Boots and expects our initramfs to refuse with a line that holds all of `reasons`,
/// never having entered a Core. Returns everything the console showed.
pub fn expect_initramfs_refusal(machine: &Configuration, reasons: &[&str]) -> Result<String> {
    const ENTERED: &[&str] = &[ENTERING_CORE, PAGE];
    let mut running = start(machine)?;
    running
        .console()
        .expect_any(&[REFUSED], ENTERED, PATIENCE)?;
    let line = running
        .console()
        .expect_any(&["\n"], ENTERED, PATIENCE)?
        .text;
    for reason in reasons {
        anyhow::ensure!(
            line.contains(reason),
            "the refusal does not say {reason:?}: {}",
            line.trim()
        );
    }
    // Powering off or waiting for a key, as the product says: nothing else may run.
    running
        .console()
        .expect_none(ENTERED, Duration::from_secs(8))?;
    let text = running.console().text();
    running.cut_power()?;
    Ok(text)
}
