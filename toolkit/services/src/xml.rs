//! Writing XML: every element closed, every text escaped.

use std::fmt::Display;

/// A document in the making.
#[derive(Debug)]
pub struct Document {
    text: String,
    open: Vec<&'static str>,
}

impl Document {
    /// An empty document in UTF-8.
    pub fn new() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            open: Vec::new(),
        }
    }

    /// An element around what `inside` writes.
    pub fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &dyn Display)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.begin(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
        inside(self);
        self.open.pop();
        self.indent();
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }

    /// An element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[(&str, &dyn Display)]) {
        self.begin(name, attributes);
        self.text.push_str("/>\n");
    }

    /// An element that holds a text.
    pub fn leaf(&mut self, name: &'static str, attributes: &[(&str, &dyn Display)], text: &str) {
        self.begin(name, attributes);
        self.text.push('>');
        escape(text, &mut self.text);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }

    /// The document as text.
    pub fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str, attributes: &[(&str, &dyn Display)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            escape(&value.to_string(), &mut self.text);
            self.text.push('"');
        }
    }

    fn indent(&mut self) {
        for _ in &self.open {
            self.text.push_str("  ");
        }
    }
}

/// Appends a text so that it is one in element and attribute alike. Characters that
/// XML 1.0 cannot hold become U+FFFD.
fn escape(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\t' | '\n' | '\r' => into.push_str(&format!("&#{};", u32::from(letter))),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                into.push('\u{fffd}');
            }
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_leave_its_place() {
        let mut document = Document::new();
        document.element("a", &[("k", &"\"><b/>&")], |inside| {
            inside.leaf("t", &[], "</t>\u{1b}\n&amp;");
            inside.empty("e", &[("n", &1)]);
        });
        assert_eq!(
            document.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <a k=\"&quot;&gt;&lt;b/&gt;&amp;\">\n  \
             <t>&lt;/t&gt;\u{fffd}&#10;&amp;amp;</t>\n  \
             <e n=\"1\"/>\n</a>\n"
        );
    }
}
