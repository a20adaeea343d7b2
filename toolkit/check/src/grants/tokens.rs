//! What the tokens of an item mention: paths of names, methods, literals.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path of names with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Its names, for example `init`, `SOCKET`.
    pub path: Vec<String>,
    /// The line, counted from 1.
    pub line: usize,
}

/// A literal text with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    /// The text; of bytes, as far as they are UTF-8.
    pub text: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// Everything that some tokens mention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Paths of names, single names included.
    pub paths: Vec<Mention>,
    /// Names behind a dot: methods and fields.
    pub members: Vec<String>,
    /// Literal texts.
    pub literals: Vec<Literal>,
}

impl Mentions {
    /// Those of some tokens, of macros' arguments too.
    pub fn of(tokens: TokenStream) -> Self {
        let mut mentions = Self::default();
        mentions.scan(tokens, &[], false);
        mentions
    }

    /// Adds those of further tokens; `before` is what they continue, as the braces of
    /// a `use` do.
    fn scan(&mut self, tokens: TokenStream, before: &[String], attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            index += 1;
            match token {
                TokenTree::Ident(_) => {
                    index = self.path(&tokens, index - 1, before, attribute);
                }
                TokenTree::Punct(mark) if mark.as_char() == '#' => {
                    let inner = matches!(tokens.get(index), Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
                    let place = index + usize::from(inner);
                    if let Some(TokenTree::Group(group)) = tokens.get(place)
                        && group.delimiter() == Delimiter::Bracket
                    {
                        index = place + 1;
                        if !is_documentation(&group.stream()) {
                            self.scan(group.stream(), &[], true);
                        }
                    }
                }
                TokenTree::Punct(mark) if mark.as_char() == '.' => {
                    if let Some(TokenTree::Ident(name)) = tokens.get(index) {
                        self.members.push(name.to_string());
                        index += 1;
                    }
                }
                TokenTree::Punct(_) => {}
                TokenTree::Group(group) => self.scan(group.stream(), &[], attribute),
                TokenTree::Literal(literal) => self.literal(literal, attribute),
            }
        }
    }

    /// Takes the path that begins at a token; returns the place behind it.
    fn path(
        &mut self,
        tokens: &[TokenTree],
        start: usize,
        before: &[String],
        attribute: bool,
    ) -> usize {
        let mut path = before.to_vec();
        let mut line = 0;
        let mut index = start;
        loop {
            match tokens.get(index) {
                Some(TokenTree::Ident(name)) => {
                    line = name.span().start().line;
                    path.push(name.to_string());
                    index += 1;
                }
                // `a::{b, c}`: each goes on from here.
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.scan(group.stream(), &path, attribute);
                    return index + 1;
                }
                _ => break,
            }
            if !is_double_colon(tokens, index) {
                break;
            }
            index += 2;
            // `Vec::<u8>::new`: the arguments are scanned on their own.
            if matches!(tokens.get(index), Some(TokenTree::Punct(mark)) if mark.as_char() == '<') {
                break;
            }
        }
        self.paths.push(Mention { path, line });
        index
    }

    fn literal(&mut self, literal: &proc_macro2::Literal, attribute: bool) {
        let line = literal.span().start().line;
        let text = match syn::Lit::new(literal.clone()) {
            syn::Lit::Str(text) => text.value(),
            syn::Lit::ByteStr(bytes) => String::from_utf8_lossy(&bytes.value()).into_owned(),
            syn::Lit::CStr(text) => text.value().to_string_lossy().into_owned(),
            _ => return,
        };
        // serde and thiserror name functions and fields in texts.
        if attribute {
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            if path.iter().all(|name| is_name(name)) {
                self.paths.push(Mention { path, line });
            }
        }
        for name in inline_arguments(&text) {
            self.paths.push(Mention {
                path: vec![name],
                line,
            });
        }
        self.literals.push(Literal { text, line });
    }
}

fn is_double_colon(tokens: &[TokenTree], index: usize) -> bool {
    let colon = |index: usize| matches!(tokens.get(index), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(index) && colon(index + 1)
}

fn is_documentation(attribute: &TokenStream) -> bool {
    let first = attribute.clone().into_iter().next();
    matches!(first, Some(TokenTree::Ident(name)) if name == "doc")
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Names that a format text takes from around it: `{SOCKET}`, `{SOCKET:?}`.
fn inline_arguments(text: &str) -> Vec<String> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| {
            let name = rest.split(['}', ':']).next()?;
            is_name(name).then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(code: &str) -> Mentions {
        Mentions::of(code.parse().unwrap())
    }

    fn paths(code: &str) -> Vec<String> {
        let paths = mentions(code).paths.into_iter();
        paths.map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn paths_are_taken_whole() {
        assert_eq!(paths("a::b::C + d"), ["a::b::C", "d"]);
        assert_eq!(paths("Vec::<u8>::new()"), ["Vec", "u8", "new"]);
        assert_eq!(paths("a::{b, c::d}"), ["a::b", "a::c::d"]);
        assert_eq!(paths("x.y().z"), ["x"]);
        assert_eq!(mentions("x.y().z").members, ["y", "z"]);
    }

    #[test]
    fn texts_in_macros_and_formats_count() {
        let found = mentions("x(format!(\"{HOME}/a/{:?}\", 1), b\"/dev/x\", c\"/dev/y\")");
        let texts: Vec<&str> = found.literals.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["{HOME}/a/{:?}", "/dev/x", "/dev/y"]);
        assert!(found.paths.iter().any(|mention| mention.path == ["HOME"]));
    }

    #[test]
    fn documentation_is_no_code() {
        let found = mentions("/// See \"/etc/passwd\".\n#[doc = \"/etc/shadow\"]\nfn x() {}");
        assert!(found.literals.is_empty());
        let found = mentions("#[serde(default = \"a::b\")] x: u8");
        assert!(found.paths.iter().any(|mention| mention.path == ["a", "b"]));
    }

    #[test]
    fn lines_are_those_of_the_text() {
        let found = mentions("\n\nx(\n\"/dev/x\")");
        assert_eq!(found.literals[0].line, 4);
    }
}
