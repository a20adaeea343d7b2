//! The page and its drawing, from facts to bytes.

use bastide_config::product_info::ProductInfo;
use bastide_ipc::init::{
    BootStep, Core, LoaderTimes, MachineState, Memory, RefusedCandidate, Service, ServiceState,
    Status, Usage,
};

use crate::draw::{Kind, Painter};
use crate::facts::{Facts, SecureBoot};
use crate::page::{Page, Style, lay_out};
use crate::text::columns;
use crate::view::{KERNEL_ROWS, LARGEST, SMALLEST, Size, compose};

fn status() -> Status {
    Status {
        state: MachineState::Ready,
        ready_at: Some(2_345_678),
        services: vec![Service {
            name: "console-serial".to_owned(),
            description: "page".to_owned(),
            state: ServiceState::Ready,
            pid: Some(7),
            restarts: 0,
            started_at: Some(1),
            ready_at: Some(2),
            status: None,
            reason: None,
            last_exit: None,
            usage: Some(Usage {
                memory: 9 << 20,
                resident: 3 << 19,
                memory_peak: None,
                processor_us: 1,
            }),
        }],
        steps: vec![BootStep {
            name: "core-verified".to_owned(),
            at: 1_500_000,
        }],
        loader: LoaderTimes {
            init: Some(3_000_000),
            exec: Some(3_400_000),
        },
        core: Some(Core {
            root_hash: "0e".repeat(32),
            device: "vda2".to_owned(),
            verified: true,
            corrected_blocks: 0,
        }),
        core_unavailable: None,
        volume: None,
        refused: Vec::new(),
        previous_failure: None,
        init_usage: None,
        memory: Some(Memory {
            total: 2000 << 20,
            resident: 70 << 20,
        }),
    }
}

fn facts() -> Facts {
    Facts {
        product: Ok(ProductInfo {
            name: "demo".to_owned(),
            title: "Demo".to_owned(),
            version: "0.1.0".to_owned(),
            instrumented: false,
            demo_notice: Some("for trying only".to_owned()),
        }),
        status: Ok(status()),
        secure_boot: Ok(SecureBoot {
            on: true,
            setup_mode: false,
        }),
        platform_key: Ok(vec!["aa".repeat(32)]),
        allowed_keys: Ok(vec!["bb".repeat(32)]),
        tpm: Ok("2.0".to_owned()),
        registers: vec![(0, Ok("cc".repeat(32)))],
        kernel: Ok("7.3.4".to_owned()),
        lockdown: Ok("confidentiality".to_owned()),
        modules: Ok("lockdown,capability".to_owned()),
        uptime: Ok(3725),
        load: Ok("0.10 0.20 0.30".to_owned()),
    }
}

/// Nothing can be read at all.
fn nothing() -> Facts {
    let why = || "no such \u{1b}[31mfile".to_owned();
    Facts {
        product: Err(why()),
        status: Err(why()),
        secure_boot: Err(why()),
        platform_key: Err(why()),
        allowed_keys: Err(why()),
        tpm: Err(why()),
        registers: vec![(0, Err(why()))],
        kernel: Err(why()),
        lockdown: Err(why()),
        modules: Err(why()),
        uptime: Err(why()),
        load: Err(why()),
    }
}

fn text(page: &Page) -> String {
    let lines = page.head.iter().chain(&page.body);
    let texts: Vec<&str> = lines.map(|line| line.text.as_str()).collect();
    texts.join("\n")
}

#[test]
fn the_page_says_what_it_is_for() {
    let text = text(&lay_out(&facts(), 80));
    for expected in [
        "Bastide Demo 0.1.0",
        "up 1 h 02 min",
        "for trying only",
        "Instrumented no",
        "[ready] bastide: ready 2.34 s after",
        "Services     console-serial ready",
        "Secure Boot  on",
        &format!("Owner key PK {}", "aa".repeat(32)),
        &format!("Boot keys db {}", "bb".repeat(32)),
        &format!("Core         {}", "0e".repeat(32)),
        "Verity       genuine on vda2, no block repaired",
        "Refused      no other partition",
        "Last failure none recorded",
        "Kernel       7.3.4, lockdown confidentiality",
        "LSM          lockdown capability",
        "TPM          2.0, present",
        &format!("  PCR 0      {}", "cc".repeat(32)),
        "firmware 3.00 s, loader 0.40 s, core-verified at 1.50 s",
        "Memory       Core 1.5 MiB (console-serial 1.5); with the kernel 70 of 2000 MiB",
        "Load         0.10",
    ] {
        assert!(text.contains(expected), "no `{expected}` in:\n{text}");
    }
}

#[test]
fn what_cannot_be_read_stays_and_says_why() {
    let page = lay_out(&nothing(), 80);
    let text = text(&page);
    for label in [
        "Product",
        "State",
        "Services",
        "Secure Boot",
        "Owner key PK",
        "Boot keys db",
        "Core",
        "Verity",
        "Refused",
        "Last failure",
        "Kernel",
        "Lockdown",
        "LSM",
        "TPM",
        "PCRs",
        "Boot",
        "Memory",
        "Load",
    ] {
        let line = format!("{label:<13}unavailable: ");
        assert!(text.contains(&line), "no `{line}` in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn bad_news_is_marked() {
    let mut facts = facts();
    facts.secure_boot = Ok(SecureBoot {
        on: false,
        setup_mode: false,
    });
    facts.lockdown = Ok("none".to_owned());
    facts.product = facts.product.map(|product| ProductInfo {
        instrumented: true,
        ..product
    });
    let mut status = status();
    status.state = MachineState::Degraded;
    status.services[0].state = ServiceState::Failed;
    status.services[0].reason = Some("exit status 1".to_owned());
    status.core = status.core.map(|core| Core {
        verified: false,
        corrected_blocks: 3,
        ..core
    });
    status.refused = vec![RefusedCandidate {
        device: "vdb2".to_owned(),
        reason: "another root hash".to_owned(),
    }];
    status.previous_failure = Some("no Core found".to_owned());
    facts.status = Ok(status);
    let page = lay_out(&facts, 80);
    for expected in [
        "Instrumented YES: this system can be observed from outside",
        "State        [degraded]",
        "Service      console-serial failed: exit status 1",
        "Secure Boot  OFF",
        "Verity       DAMAGED on vda2, 3 blocks repaired",
        "Refused      vdb2: another root hash",
        "Last failure no Core found",
        "Kernel       7.3.4, lockdown none",
    ] {
        let line = page
            .head
            .iter()
            .chain(&page.body)
            .find(|line| line.text.starts_with(expected));
        assert_eq!(line.map(|line| line.style), Some(Style::Bad), "{expected}");
    }
}

#[test]
fn every_size_is_drawn_within_its_bounds() {
    for facts in [facts(), nothing()] {
        for rows in SMALLEST.rows..60 {
            for width in SMALLEST.columns..140 {
                let size = Size::new(rows, width);
                let page = lay_out(&facts, width);
                let mut scroll = usize::MAX;
                let lines = compose(&page, "a message", size, &mut scroll);
                assert_eq!(lines.len(), rows - KERNEL_ROWS);
                assert!(lines.iter().all(|line| columns(&line.text) <= width));
                assert!(lines[0].text.starts_with("Bastide"));
                assert!(lines[lines.len() - 1].text.starts_with("Keys:"));
                assert_eq!(lines[lines.len() - 2].text, "a message");
            }
        }
    }
    assert_eq!(Size::new(0, 0), Size::USUAL);
    assert_eq!(Size::new(1, 1), SMALLEST);
    assert_eq!(Size::new(usize::MAX, usize::MAX), LARGEST);
}

#[test]
fn all_items_can_be_reached_by_scrolling() {
    let size = Size::new(15, 80);
    let page = lay_out(&facts(), 80);
    let mut seen = String::new();
    for start in 0..page.body.len() {
        let mut scroll = start;
        for line in compose(&page, "", size, &mut scroll) {
            seen.push_str(&line.text);
            seen.push('\n');
        }
    }
    for line in &page.body {
        assert!(seen.contains(&line.text), "{}", line.text);
    }
}

#[test]
fn a_serial_line_is_not_flooded() {
    let size = Size::USUAL;
    let mut scroll = 0;
    let mut facts = facts();
    let mut painter = Painter::new(Kind::Full);
    let lines = compose(&lay_out(&facts, 80), "", size, &mut scroll);
    let first = painter.paint(&lines, size, false);
    assert!(first.contains("Bastide Demo 0.1.0"));
    assert_eq!(painter.paint(&lines, size, false), "");
    facts.load = Ok("9.99 0.20 0.30".to_owned());
    facts.uptime = Ok(3726);
    scroll = usize::MAX;
    let lines = compose(&lay_out(&facts, 80), "", size, &mut scroll);
    painter.paint(&lines, size, true);
    facts.load = Ok("1.00 0.20 0.30".to_owned());
    let lines = compose(&lay_out(&facts, 80), "", size, &mut scroll);
    let change = painter.paint(&lines, size, false);
    assert!(change.contains("1.00") && change.len() < 80, "{change:?}");
    let other = Size::new(40, 100);
    let lines = compose(&lay_out(&facts, 100), "", other, &mut scroll);
    let resized = painter.paint(&lines, other, false);
    assert!(resized.contains("Bastide Demo"), "drawn anew when resized");
}

#[test]
fn a_dumb_terminal_gets_plain_lines_and_only_news() {
    let size = Size::USUAL;
    let mut scroll = 0;
    let mut facts = facts();
    let mut painter = Painter::new(Kind::of("dumb"));
    let lines = compose(&lay_out(&facts, 80), "", size, &mut scroll);
    let first = painter.paint(&lines, size, false);
    assert!(first.contains("Bastide Demo 0.1.0") && !first.contains('\u{1b}'));
    facts.uptime = Ok(7200);
    let lines = compose(&lay_out(&facts, 80), "", size, &mut scroll);
    assert_eq!(painter.paint(&lines, size, false), "");
    let lines = compose(&lay_out(&facts, 80), "Cancelled", size, &mut scroll);
    assert!(painter.paint(&lines, size, false).contains("Cancelled"));
}
