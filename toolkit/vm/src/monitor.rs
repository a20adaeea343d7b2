//! QEMU's machine protocol: what a person would do at the case and keyboard.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

/// Why a monitor command did not work.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The connection broke: QEMU has usually ended.
    #[error("the monitor of the virtual machine does not answer")]
    Connection(#[from] io::Error),
    /// The answer is no QMP.
    #[error("the monitor answered with what is no JSON")]
    Syntax(#[from] serde_json::Error),
    /// QEMU refused.
    #[error("the monitor refused {command}: {answer}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's answer.
        answer: String,
    },
}

/// How long QEMU holds a key down, 100 ms, and lets it go before the next.
const KEY_STROKE: Duration = Duration::from_millis(150);

/// A connection to the monitor.
#[derive(Debug)]
pub struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Names of the events seen so far, oldest first.
    events: Vec<String>,
}

impl Monitor {
    pub(crate) fn new(stream: UnixStream) -> Result<Self, MonitorError> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut monitor = Self {
            writer: stream.try_clone()?,
            reader: BufReader::new(stream),
            events: Vec::new(),
        };
        monitor.read()?;
        monitor.execute("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    fn read(&mut self) -> Result<Value, MonitorError> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Executes one command and returns its answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, MonitorError> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.writer, "{request}")?;
        loop {
            let mut answer = self.read()?;
            if let Some(event) = answer.get("event").and_then(Value::as_str) {
                self.events.push(event.to_owned());
            } else if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            } else {
                return Err(MonitorError::Refused {
                    command: command.to_owned(),
                    answer: answer.to_string(),
                });
            }
        }
    }

    /// Presses the power button.
    pub fn press_power(&mut self) -> Result<(), MonitorError> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Presses one key, or several together, on the machine's own keyboard; the
    /// names are QEMU's (`e`, `spc`, `ret`, `shift`).
    pub fn press_keys(&mut self, names: &[&str]) -> Result<(), MonitorError> {
        let keys: Vec<Value> = names
            .iter()
            .map(|name| json!({"type": "qcode", "data": name}))
            .collect();
        self.execute("send-key", json!({"keys": keys})).map(drop)
    }

    /// Types letters, digits, spaces and `-` on the machine's own keyboard, as its American
    /// layout has them, and Enter after them. Returns once the last key is up.
    ///
    /// # Panics
    /// On any other character.
    pub fn type_line(&mut self, text: &str) -> Result<(), MonitorError> {
        for letter in text.chars() {
            let small = letter.to_ascii_lowercase().to_string();
            let name = match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' => small.as_str(),
                ' ' => "spc",
                '-' => "minus",
                other => panic!("there is no key for {other:?}"),
            };
            let shifted = ["shift", name];
            let keys = &shifted[usize::from(!letter.is_ascii_uppercase())..];
            self.press_keys(keys)?;
            sleep(KEY_STROKE);
        }
        self.press_keys(&["ret"])?;
        sleep(KEY_STROKE);
        Ok(())
    }

    /// Writes what the screen shows to `file` as PNG.
    pub fn screenshot(&mut self, file: &Path) -> Result<(), MonitorError> {
        self.execute("screendump", json!({"filename": file, "format": "png"}))
            .map(drop)
    }

    /// The names of the events that came with the answers so far.
    pub fn events(&self) -> &[String] {
        &self.events
    }
}
