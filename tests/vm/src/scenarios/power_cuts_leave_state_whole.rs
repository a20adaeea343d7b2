//! The power goes, at random moments of the first boot, of the writing after it and of
//! sealing the state to a new TPM; after each cut standard tools check the file system, and
//! the machine must come up at last, with a log that verifies. What the disk had taken over
//! before the cut is kept: a volatile cache of its own is not imitated.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bastide_vm::Console;
use bastide_vm::signs::{
    DEGRADED, OPENED_BY_TPM, PAGE, PANIC, PROVISIONING, RECOVERY_KEY, RECOVERY_PROMPT, REFUSED,
    SEAL_PROMPT,
};

use crate::bench::{Bench, FIRST_BOOT, PATIENCE, start};
use crate::installation::Installation;
use crate::log_verdict::Verdict;
use crate::page::{Page, power_off};
use crate::provisioned::is_recovery_key;
use crate::random::Random;
use crate::recovery::{Shut, expect_prompt_or_refusal, open_with};
use crate::report::Report;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "power_cuts_leave_state_whole",
    claim: "A power cut at any moment of the first boot, of writing or of sealing again leaves a machine that goes on, with a \
            file system without faults that the TPM still opens, and a log that verifies.",
    class: Class::Default,
    run: |bench| campaign(bench, 5),
};

/// How long writing goes on before the power is cut, at most.
const WRITING: u64 = 12_000;

/// How long sealing to a new TPM takes, generously.
const RESEALING: u64 = 4_000;

/// Moments of a first boot, from power-on: firmware and boot loader left out.
const FIRST_BOOT_MOMENTS: (u64, u64) = (6_000, 45_000);

const CHECK: &str = r#"
device=$(partition state)
cryptsetup isLuks --type luks2 "$device" || { result not-made; exit 0; }
if ! open_state "$KEY" 2> log; then result "not-opened $(tr '\n' ' ' < log)"; exit 0; fi
if ! blkid --probe --match-token TYPE=ext4 /dev/mapper/state > log; then result not-made; exit 0; fi
e2fsck -E journal_only -y /dev/mapper/state > journal.log || true
if e2fsck -f -n /dev/mapper/state > log 2>&1; then
    result clean
else
    result "faults $(tail -n 5 log | tr '\n' ' ')"
fi
"#;

/// When the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    FirstBoot,
    Writing,
    Resealing,
}

impl Moment {
    /// Half of the cuts hit first boots; of the others each third hits the sealing to a
    /// new TPM.
    fn of(cut: u32, cuts: u32) -> Self {
        match cut.checked_sub(cuts.div_ceil(2)) {
            None => Self::FirstBoot,
            Some(later) if later % 3 == 1 => Self::Resealing,
            Some(_) => Self::Writing,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FirstBoot => "cuts during a first boot",
            Self::Writing => "cuts while writing",
            Self::Resealing => "cuts while sealing again",
        }
    }
}

/// Cuts the power `cuts` times and checks after each.
pub fn campaign(bench: &Bench, cuts: u32) -> Result<()> {
    let mut report = Report::new("power cuts over the state", bench.seed);
    let mut random = Random::new(bench.seed);
    let machine = bench.new_later_machine("machine")?;
    let mut key = None;
    let result = (0..cuts).try_for_each(|cut| {
        let moment = Moment::of(cut, cuts);
        eprintln!("power cut {} of {cuts}: {}", cut + 1, moment.name());
        one(bench, &machine, moment, &mut key, &mut random, &mut report).with_context(|| {
            format!("cut {} of {cuts}, {}, seed {}", cut + 1, moment.name(), bench.seed)
        })
    });
    report.write(bench.reports())?;
    result
}

fn one(
    bench: &Bench,
    machine: &Installation,
    moment: Moment,
    key: &mut Option<String>,
    random: &mut Random,
    report: &mut Report,
) -> Result<()> {
    let first = moment == Moment::FirstBoot;
    if moment == Moment::Resealing {
        machine.replace_tpm()?;
    }
    let mut running = start(&machine.inhabit(bench.machine("machine")))?;
    match moment {
        Moment::FirstBoot => {
            let (from, to) = FIRST_BOOT_MOMENTS;
            sleep(Duration::from_millis(from + random.below(to - from)));
        }
        Moment::Writing => {
            come_up(running.console(), key)?;
            sleep(Duration::from_millis(random.below(WRITING)));
        }
        Moment::Resealing => {
            let console = running.console();
            ensure!(
                expect_prompt_or_refusal(console)? == Shut::Asks,
                "with another TPM the machine does not ask for the recovery key"
            );
            let known = key.as_deref().context("no recovery key was ever shown")?;
            console.send(&format!("{known}\r"))?;
            console.expect_any(&[SEAL_PROMPT], &[REFUSED, PAGE], PATIENCE)?;
            console.send("y\r")?;
            sleep(Duration::from_millis(random.below(RESEALING)));
        }
    }
    note_key(running.console(), key);
    running.cut_power()?;
    report.count(moment.name());

    // Without the recovery key nobody can look, and nobody had anything to lose.
    if let Some(known) = key.as_deref() {
        let task = format!("KEY={known}\n{CHECK}");
        let found = bench.rescue("check", &task, &machine.disk_to_look_at(), None)?;
        let verdict = found.last().map(String::as_str).unwrap_or("nothing");
        report.count(verdict.split(' ').next().unwrap_or_default());
        // Until the machine has come up once it may begin anew, with another key.
        ensure!(
            verdict == "clean" || first,
            "after a power cut the rescue machine says: {verdict}"
        );
    }

    let mut configuration = machine.inhabit(bench.machine("machine"));
    configuration.second_line = true;
    let mut running = start(&configuration)?;
    if moment == Moment::Resealing && asks_for_key(running.console())? {
        let known = key.as_deref().context("no recovery key was ever shown")?;
        open_with(running.console(), known, true)?;
        report.count("recovery keys typed once more");
    }
    come_up(running.console(), key).context("at the undisturbed boot after it")?;
    report.count("undisturbed boots that came up");
    let verdict = Verdict::read(&running)?;
    ensure!(
        verdict.is_intact(),
        "after a power cut the log does not verify: {}",
        verdict.answer
    );
    report.count("logs that verify");
    power_off(&mut running)?;
    if first {
        // The next cut shall hit a first boot again.
        *key = None;
        machine.begin_anew(&bench.later()?.join("disk.img"))?;
    }
    Ok(())
}

/// Whether the machine asks for the recovery key, rather than to be opened by its TPM.
fn asks_for_key(console: &Console) -> Result<bool> {
    let wanted = [RECOVERY_PROMPT, OPENED_BY_TPM];
    let seen = console.expect_any(&wanted, &[REFUSED, PANIC, PROVISIONING], PATIENCE)?;
    Ok(seen.index == 0)
}

/// Waits for the page without a person's help, and keeps the recovery key that is shown.
fn come_up(console: &Console, key: &mut Option<String>) -> Result<()> {
    let bad = [REFUSED, PANIC, DEGRADED, RECOVERY_PROMPT];
    let seen = console.expect_any(&[PAGE, RECOVERY_KEY], &bad, FIRST_BOOT)?;
    if seen.index == 1 {
        console.expect("\n", FIRST_BOOT)?;
        note_key(console, key);
        console.expect_any(&[PAGE], &bad, FIRST_BOOT)?;
    }
    Page::read(console).map(drop)
}

/// Keeps the recovery key, if the console has shown all of it.
fn note_key(console: &Console, key: &mut Option<String>) {
    let text = console.text();
    let lines = text.lines().rev();
    let shown = lines
        .filter_map(|line| Some(line.split_once(RECOVERY_KEY)?.1.trim()))
        .find(|shown| is_recovery_key(shown));
    if let Some(shown) = shown {
        *key = Some(shown.to_owned());
    }
}
