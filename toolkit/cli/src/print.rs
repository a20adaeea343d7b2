//! Printing long results, which are often read through a pager or `head`.

use std::io::{ErrorKind, Write};

/// Prints a text. A reader that has seen enough and hung up is no error.
///
/// # Errors
/// When standard output cannot be written for any other reason.
pub fn text(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
