//! The page as lines of text: from facts and a size, no I/O.

use bastide_ipc::init::{MachineState, Service, ServiceState, Status};

use crate::facts::{Facts, Item};
use crate::text::{clip, columns, safe, wrap};

/// The column in which values begin.
const LABEL: usize = 13;

/// How a line looks; a terminal without colours shows the words alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// The name of the system.
    Title,
    /// As it should be.
    Good,
    /// Worth a look.
    Notice,
    /// Not as it should be.
    Bad,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Safe to show, and not longer than the screen is wide.
    pub text: String,
    /// How it looks.
    pub style: Style,
    /// Changes all the time by itself (uptime, load).
    pub restless: bool,
}

/// The parts of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Always at the top.
    pub head: Vec<Line>,
    /// The items; scrolled when there is no room.
    pub body: Vec<Line>,
}

/// Lays the facts out for a screen of this width.
pub fn lay_out(facts: &Facts, width: usize) -> Page {
    let mut sheet = Sheet {
        width,
        lines: Vec::new(),
    };
    head(&mut sheet, facts);
    let head = std::mem::take(&mut sheet.lines);

    state(&mut sheet, &facts.status);
    secure_boot(&mut sheet, facts);
    core(&mut sheet, &facts.status);
    volume(&mut sheet, &facts.status);
    kernel(&mut sheet, facts);
    tpm(&mut sheet, facts);
    boot(&mut sheet, &facts.status);
    memory(&mut sheet, &facts.status);
    match &facts.load {
        Ok(load) => {
            sheet.item("Load", load, Style::Plain);
            if let Some(line) = sheet.lines.last_mut() {
                line.restless = true;
            }
        }
        Err(why) => sheet.unavailable("Load", why),
    }
    Page {
        head,
        body: sheet.lines,
    }
}

struct Sheet {
    width: usize,
    lines: Vec<Line>,
}

impl Sheet {
    /// Adds a labelled item, on several lines if need be.
    fn item(&mut self, label: &str, value: &str, style: Style) {
        let room = self.width.saturating_sub(LABEL).max(1);
        for (index, piece) in wrap(&safe(value), room).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.line(format!("{label:<LABEL$}{piece}"), style);
        }
    }

    fn unavailable(&mut self, label: &str, why: &str) {
        self.item(label, &format!("unavailable: {why}"), Style::Notice);
    }

    fn line(&mut self, text: String, style: Style) {
        self.lines.push(Line {
            text: clip(&text, self.width),
            style,
            restless: false,
        });
    }
}

fn head(sheet: &mut Sheet, facts: &Facts) {
    let title = match &facts.product {
        Ok(product) => safe(&product.banner()),
        Err(_) => "Bastide".to_owned(),
    };
    let uptime = facts.uptime.as_ref().map_or_else(
        |why| format!("uptime unavailable: {}", safe(why)),
        |seconds| uptime(*seconds),
    );
    let gap = sheet
        .width
        .saturating_sub(columns(&title) + columns(&uptime))
        .max(2);
    sheet.line(format!("{title}{:gap$}{uptime}", ""), Style::Title);
    if let Some(line) = sheet.lines.last_mut() {
        line.restless = true;
    }
    match &facts.product {
        Ok(product) => {
            if let Some(notice) = &product.demo_notice {
                for line in wrap(&safe(notice), sheet.width) {
                    sheet.line(line, Style::Notice);
                }
            }
            let (text, style) = if product.instrumented {
                ("YES: this system can be observed from outside", Style::Bad)
            } else {
                ("no", Style::Plain)
            };
            sheet.item("Instrumented", text, style);
        }
        Err(why) => sheet.unavailable("Product", why),
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("up {minutes} min"),
        (0, _) => format!("up {hours} h {minutes:02} min"),
        _ => format!("up {days} d {hours} h"),
    }
}

fn state(sheet: &mut Sheet, status: &Item<Status>) {
    let status = match status {
        Ok(status) => status,
        Err(why) => {
            sheet.unavailable("State", why);
            sheet.unavailable("Services", "see above");
            return;
        }
    };
    let (text, style) = match status.state {
        MachineState::Ready => {
            let after = status.ready_at.map_or_else(String::new, |at| {
                format!(" {} after the start of the kernel", seconds(at))
            });
            (format!("[ready] bastide: ready{after}"), Style::Good)
        }
        MachineState::Starting => ("[starting] services are starting".to_owned(), Style::Plain),
        MachineState::Degraded => ("[degraded] not all services run".to_owned(), Style::Bad),
        MachineState::Stopping => ("[stopping] services are stopping".to_owned(), Style::Notice),
    };
    sheet.item("State", &text, style);

    let (well, other): (Vec<&Service>, Vec<&Service>) = status
        .services
        .iter()
        .partition(|service| matches!(service.state, ServiceState::Ready | ServiceState::Finished));
    if !well.is_empty() {
        let names: Vec<&str> = well.iter().map(|service| service.name.as_str()).collect();
        let text = format!("{} ready", names.join(", "));
        sheet.item("Services", &text, Style::Plain);
    }
    for service in other {
        let mut text = format!("{} {}", service.name, service.state.as_str());
        if let Some(reason) = &service.reason {
            text = format!("{text}: {reason}");
        }
        let style = match service.state {
            ServiceState::Failed | ServiceState::Blocked => Style::Bad,
            ServiceState::Restarting => Style::Notice,
            _ => Style::Plain,
        };
        sheet.item("Service", &text, style);
    }
}

fn secure_boot(sheet: &mut Sheet, facts: &Facts) {
    match &facts.secure_boot {
        Ok(state) => {
            let (text, style) = match (state.on, state.setup_mode) {
                (true, false) => ("on", Style::Good),
                (true, true) => ("on, but in setup mode: anyone may enrol keys", Style::Bad),
                (false, _) => ("OFF: firmware checks nothing of what it starts", Style::Bad),
            };
            sheet.item("Secure Boot", text, style);
        }
        Err(why) => sheet.unavailable("Secure Boot", why),
    }
    for (label, keys) in [
        ("Owner key PK", &facts.platform_key),
        ("Boot keys db", &facts.allowed_keys),
    ] {
        match keys {
            Ok(keys) if keys.is_empty() => sheet.item(label, "none", Style::Bad),
            Ok(keys) => {
                for (index, key) in keys.iter().enumerate() {
                    let label = if index == 0 { label } else { "" };
                    sheet.item(label, key, Style::Plain);
                }
            }
            Err(why) => sheet.unavailable(label, why),
        }
    }
}

fn core(sheet: &mut Sheet, status: &Item<Status>) {
    let status = match status {
        Ok(status) => status,
        Err(_) => {
            for label in ["Core", "Verity", "Refused", "Last failure"] {
                sheet.unavailable(label, "see State");
            }
            return;
        }
    };
    match (&status.core, &status.core_unavailable) {
        (Some(core), _) => {
            sheet.item("Core", &core.root_hash, Style::Plain);
            let repaired = match core.corrected_blocks {
                0 => "no block repaired".to_owned(),
                1 => "1 block repaired".to_owned(),
                more => format!("{more} blocks repaired"),
            };
            let (text, style) = match (core.verified, core.corrected_blocks) {
                // Never worse than damaged: what is not repaired cannot be read.
                (false, _) => ("DAMAGED", Style::Bad),
                (true, 0) => ("genuine", Style::Good),
                (true, _) => ("genuine", Style::Notice),
            };
            let text = format!("{text} on {}, {repaired}", core.device);
            sheet.item("Verity", &text, style);
        }
        (None, why) => {
            let why = why.as_deref().unwrap_or("PID 1 does not say why");
            sheet.unavailable("Core", why);
            sheet.unavailable("Verity", "see Core");
        }
    }
    if status.core.is_none() && status.refused.is_empty() {
        sheet.unavailable("Refused", "see Core");
    } else if status.refused.is_empty() {
        sheet.item(
            "Refused",
            "no other partition claimed to be the Core",
            Style::Plain,
        );
    }
    for refused in &status.refused {
        let text = format!("{}: {}", refused.device, refused.reason);
        sheet.item("Refused", &text, Style::Bad);
    }
    match &status.previous_failure {
        Some(reason) => sheet.item("Last failure", reason, Style::Bad),
        None if status.core.is_none() => sheet.unavailable("Last failure", "see Core"),
        None => sheet.item("Last failure", "none recorded", Style::Plain),
    }
}

fn volume(sheet: &mut Sheet, status: &Item<Status>) {
    let Ok(status) = status else {
        sheet.unavailable("Data", "see State");
        return;
    };
    let Some(volume) = &status.volume else {
        sheet.item("Data", "NONE: nothing is kept", Style::Bad);
        return;
    };
    let (by, style) = match volume.opened_by.as_str() {
        "tpm" => ("opened by the TPM", Style::Good),
        "provisioning" => ("made at this start", Style::Good),
        _ => ("opened by the RECOVERY KEY", Style::Notice),
    };
    let swap = if volume.swap { "swap on" } else { "NO SWAP" };
    let text = format!("{by} on {}: {}; {swap}", volume.device, volume.cipher);
    sheet.item("Data", &text, style);
    match (volume.size, volume.available) {
        (Some(size), Some(available)) if size > 0 => {
            let used = 100 - available.saturating_mul(100) / size;
            let (word, style) = match used {
                _ if volume.read_only => ("READ-ONLY after an error, ", Style::Bad),
                95.. => ("FULL, ", Style::Bad),
                90.. => ("nearly full, ", Style::Notice),
                _ => ("", Style::Plain),
            };
            let text = format!("{word}{used} % of {} MiB used", size / (1024 * 1024));
            sheet.item("Disk", &text, style);
        }
        _ => sheet.unavailable("Disk", "the file system cannot be asked"),
    }
}

/// What is given out of the machine's memory, and to whom; page cache left out.
fn memory(sheet: &mut Sheet, status: &Item<Status>) {
    const MEBIBYTE: u64 = 1024 * 1024;
    let Ok(status) = status else {
        sheet.unavailable("Memory", "see State");
        return;
    };
    let services = status.services.iter().filter_map(|service| {
        let usage = service.usage.as_ref()?;
        Some((service.name.as_str(), usage.resident))
    });
    let init = status.init_usage.map(|usage| ("init", usage.resident));
    let each: Vec<(&str, u64)> = init.into_iter().chain(services).collect();
    let sum: u64 = each.iter().map(|(_, bytes)| bytes).sum();
    let mebibytes =
        |bytes: u64| format!("{}.{}", bytes / MEBIBYTE, bytes % MEBIBYTE * 10 / MEBIBYTE);
    let whole = status.memory.map_or_else(String::new, |memory| {
        format!(
            "; with the kernel {} of {} MiB",
            memory.resident / MEBIBYTE,
            memory.total / MEBIBYTE
        )
    });
    let each: Vec<String> = each
        .iter()
        .map(|(name, bytes)| format!("{name} {}", mebibytes(*bytes)))
        .collect();
    let text = format!("Core {} MiB ({}){whole}", mebibytes(sum), each.join(", "));
    let first = sheet.lines.len();
    sheet.item("Memory", &text, Style::Plain);
    for line in sheet.lines.iter_mut().skip(first) {
        line.restless = true;
    }
}

fn kernel(sheet: &mut Sheet, facts: &Facts) {
    match (&facts.kernel, &facts.lockdown) {
        (Ok(kernel), Ok(lockdown)) => {
            let style = if lockdown == "confidentiality" {
                Style::Plain
            } else {
                Style::Bad
            };
            sheet.item("Kernel", &format!("{kernel}, lockdown {lockdown}"), style);
        }
        (kernel, lockdown) => {
            for (label, item) in [("Kernel", kernel), ("Lockdown", lockdown)] {
                match item {
                    Ok(text) => sheet.item(label, text, Style::Plain),
                    Err(why) => sheet.unavailable(label, why),
                }
            }
        }
    }
    match &facts.modules {
        Ok(modules) => sheet.item("LSM", &modules.replace(',', " "), Style::Plain),
        Err(why) => sheet.unavailable("LSM", why),
    }
}

fn tpm(sheet: &mut Sheet, facts: &Facts) {
    match &facts.tpm {
        Ok(version) => sheet.item("TPM", &format!("{version}, present"), Style::Plain),
        Err(why) => {
            sheet.unavailable("TPM", why);
            sheet.unavailable("PCRs", "see TPM");
            return;
        }
    }
    for (register, value) in &facts.registers {
        let label = format!("  PCR {register}");
        match value {
            Ok(value) => sheet.item(&label, value, Style::Plain),
            Err(why) => sheet.unavailable(&label, why),
        }
    }
}

fn boot(sheet: &mut Sheet, status: &Item<Status>) {
    let Ok(status) = status else {
        sheet.unavailable("Boot", "see State");
        return;
    };
    let mut parts = Vec::new();
    if let Some(init) = status.loader.init {
        parts.push(format!("firmware {}", seconds(init)));
        if let Some(exec) = status.loader.exec {
            parts.push(format!("loader {}", seconds(exec.saturating_sub(init))));
        }
    }
    for step in &status.steps {
        parts.push(format!("{} at {}", step.name, seconds(step.at)));
    }
    sheet.item("Boot", &parts.join(", "), Style::Plain);
}

fn seconds(microseconds: u64) -> String {
    let hundredths = microseconds / 10_000;
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}
