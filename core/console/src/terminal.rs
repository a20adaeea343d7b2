//! The terminal itself: its modes, size, reading and writing.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use rustix::io::{Errno, read};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex, Termios, isatty, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
};

use crate::view::Size;

/// A terminal whose keys come one by one and are not echoed; as it was before when
/// dropped.
#[derive(Debug)]
pub struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes standard input and output over.
    ///
    /// # Errors
    /// When they are no terminal.
    pub fn take() -> Result<Self> {
        ensure!(
            isatty(stdin()) && isatty(stdout()),
            "standard input and output are no terminal; this program is a service of PID 1"
        );
        let before = tcgetattr(stdin()).context("cannot read the terminal's modes")?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON
            | LocalModes::ECHO
            | LocalModes::ECHONL
            | LocalModes::ISIG
            | LocalModes::IEXTEN;
        // Without IXON, or one stray Ctrl-S would make every write wait.
        modes.input_modes -= InputModes::IXON
            | InputModes::IXOFF
            | InputModes::ICRNL
            | InputModes::INLCR
            | InputModes::IGNCR
            | InputModes::ISTRIP
            | InputModes::BRKINT
            | InputModes::PARMRK;
        modes.input_modes |= InputModes::IGNBRK;
        modes.output_modes -= OutputModes::OPOST;
        modes.control_modes |= ControlModes::CS8 | ControlModes::CLOCAL | ControlModes::CREAD;
        modes.control_modes -= ControlModes::HUPCL | ControlModes::PARENB;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &modes)
            .context("cannot change the terminal's modes")?;
        // What was typed before the page was there answers none of its questions.
        tcflush(stdin(), QueueSelector::IFlush).context("cannot discard early keys")?;
        Ok(Self { before })
    }

    /// The size the kernel knows, if it does; a serial line has none.
    pub fn size(&self) -> Option<Size> {
        let size = tcgetwinsize(stdout()).ok()?;
        (size.ws_row > 0 && size.ws_col > 0)
            .then(|| Size::new(usize::from(size.ws_row), usize::from(size.ws_col)))
    }

    /// Reads what was typed; nothing means that the line is gone.
    ///
    /// # Errors
    /// When the terminal is of no more use.
    pub fn read<'bytes>(&self, bytes: &'bytes mut [u8]) -> io::Result<Option<&'bytes [u8]>> {
        match read(stdin(), &mut *bytes) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(bytes.get(..count)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Some(&[])),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes.
    ///
    /// # Errors
    /// When the terminal is of no more use.
    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()
    }

    /// For poll(2).
    pub fn input(&self) -> impl AsFd + use<> {
        stdin()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(stdin(), OptionalActions::Now, &self.before) {
            eprintln!("cannot give the terminal back: {error}");
        }
    }
}
