//! The recovery key as a picture that a telephone can read (QR code, ISO/IEC 18004).

use qrcodegen::{QrCode, QrCodeEcc};

/// Empty modules around the code: the standard asks for four, readers do with two,
/// and a screen has 25 lines.
const MARGIN: i32 = 2;

/// Draws `text` with two modules in each character, light on dark as terminals are;
/// `None` where it is too long for a code.
pub fn picture(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let range = -MARGIN..code.size() + MARGIN;
    let mut picture = String::new();
    for y in range.clone().step_by(2) {
        for x in range.clone() {
            // What the code calls dark stays dark; the light parts are drawn.
            picture.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
        }
        picture.push('\n');
    }
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_of_a_recovery_key_fits_a_console() {
        let key = "ABCD-".repeat(8) + "ABCD";
        let picture = picture(&key).unwrap();
        assert!(picture.lines().count() <= 18, "{picture}");
        let columns: Vec<usize> = picture.lines().map(|line| line.chars().count()).collect();
        assert!(
            columns
                .iter()
                .all(|width| *width == columns[0] && *width <= 40)
        );
        assert_eq!(super::picture(&"x".repeat(5000)), None);
    }
}
