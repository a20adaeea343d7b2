//! Debian's control file format, deb822(5), as far as indexes and sources use it.

use std::collections::HashMap;

/// One paragraph: fields by name, continuation lines included.
#[derive(Debug, Default)]
pub(crate) struct Stanza<'text>(HashMap<&'text str, &'text str>);

impl<'text> Stanza<'text> {
    /// The text after `name:`, untrimmed at line ends within.
    pub(crate) fn get(&self, name: &str) -> Option<&'text str> {
        self.0.get(name).copied()
    }
}

/// The paragraphs of a text.
pub(crate) fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut stanza = Stanza::default();
        let mut current: Option<(&str, usize)> = None;
        let whole = rest;
        let mut position = 0;
        for line in whole.split_inclusive('\n') {
            let start = position;
            position += line.len();
            let content = line.trim_end();
            if content.is_empty() {
                if stanza.0.is_empty() {
                    continue;
                }
                break;
            }
            if content.starts_with('#') {
                current = None;
            } else if line.starts_with([' ', '\t']) {
                if let Some((name, from)) = current {
                    stanza.0.insert(name, whole[from..position].trim());
                }
            } else if let Some((name, value)) = content.split_once(':') {
                stanza.0.insert(name, value.trim());
                current = Some((name, start + name.len() + 1));
            }
        }
        rest = &whole[position..];
        (!stanza.0.is_empty()).then_some(stanza)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fields_and_continuations() {
        let text = "\n\nPackage: a\nDescription: one\n two\n\n\n# note\nPackage: b\nEmpty:\n";
        let found = stanzas(text).collect::<Vec<_>>();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("Package"), Some("a"));
        assert_eq!(found[0].get("Description"), Some("one\n two"));
        assert_eq!(found[1].get("Package"), Some("b"));
        assert_eq!(found[1].get("Empty"), Some(""));
        assert_eq!(found[1].get("Description"), None);
    }
}
