//! The words of the JSON area: numbers as strings, bytes in base64, numbered objects.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{HeaderError, MOST_OBJECTS};

/// A 64-bit number, which JSON readers would round: digits in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub u64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_decimal(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("no decimal number in a string"))
    }
}

/// Digits only: no sign, no leading zero.
fn parse_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    (plain && !leading).then(|| text.parse().ok()).flatten()
}

/// So many bytes, in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const SIZE: usize>(pub [u8; SIZE]);

impl<const SIZE: usize> Serialize for Bytes<SIZE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de, const SIZE: usize> Deserialize<'de> for Bytes<SIZE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(&text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom(format_args!("no {SIZE} bytes in base64")))
    }
}

/// The one hash that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// SHA-256.
    #[serde(rename = "sha256")]
    Sha256,
}

/// Objects under numbers from 0 to 31, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<T>(pub BTreeMap<u32, T>);

impl<T: Serialize> Serialize for Numbered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(number, value)| (number.to_string(), value)),
        )
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Numbered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NumberedVisitor(PhantomData))
    }
}

struct NumberedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NumberedVisitor<T> {
    type Value = Numbered<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("numbered objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some((Number(number), value)) = map.next_entry()? {
            if found.insert(number, value).is_some() {
                return Err(A::Error::custom("the same number twice"));
            }
        }
        Ok(Numbered(found))
    }
}

/// The number of a key slot, token, segment or digest, as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u32);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Decimal(number) = Decimal::deserialize(deserializer)?;
        u32::try_from(number)
            .ok()
            .filter(|number| *number < MOST_OBJECTS)
            .map(Self)
            .ok_or_else(|| D::Error::custom("number above 31"))
    }
}

/// A token: what others keep in the header, under a type that says whose it is. Its
/// content is data from the disk, to be judged by whoever reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Token(Map<String, Value>);

impl Token {
    /// A token of a type, for some key slots, with more members.
    ///
    /// # Errors
    /// The type is empty, or a member is named `type` or `keyslots` or holds a
    /// fraction, which would not come back as it went.
    pub fn new(
        kind: &str,
        keyslots: &[u32],
        members: Map<String, Value>,
    ) -> Result<Self, HeaderError> {
        if members.contains_key("type") || members.contains_key("keyslots") {
            return Err(HeaderError::Token);
        }
        let keyslots: Vec<Value> = keyslots
            .iter()
            .map(|number| Value::from(number.to_string()))
            .collect();
        let mut all = members;
        all.insert("type".to_owned(), Value::from(kind));
        all.insert("keyslots".to_owned(), Value::from(keyslots));
        Self::check(all)
    }

    fn check(members: Map<String, Value>) -> Result<Self, HeaderError> {
        const LONGEST_TYPE: usize = 64;
        let kind = members.get("type").and_then(Value::as_str).unwrap_or("");
        if kind.is_empty() || kind.len() > LONGEST_TYPE || kind.chars().any(char::is_control) {
            return Err(HeaderError::Token);
        }
        let keyslots = members.get("keyslots").and_then(Value::as_array);
        let numbers = keyslots.is_some_and(|list| {
            list.len() <= MOST_OBJECTS as usize
                && list.iter().all(|entry| keyslot_number(entry).is_some())
        });
        if !numbers || members.values().any(has_fraction) {
            return Err(HeaderError::Token);
        }
        Ok(Self(members))
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or("")
    }

    /// Numbers of the key slots that it is for.
    pub fn keyslots(&self) -> impl Iterator<Item = u32> + '_ {
        self.0
            .get("keyslots")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(keyslot_number)
    }

    /// All its members, type and key slots among them.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(crate) fn forget_keyslot(&mut self, number: u32) {
        if let Some(Value::Array(list)) = self.0.get_mut("keyslots") {
            list.retain(|entry| keyslot_number(entry) != Some(number));
        }
    }
}

fn keyslot_number(entry: &Value) -> Option<u32> {
    let number = parse_decimal(entry.as_str()?)?;
    u32::try_from(number)
        .ok()
        .filter(|number| *number < MOST_OBJECTS)
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "-1",
            "+1",
            "01",
            "1 ",
            "0x1",
            "18446744073709551616",
            "1e3",
        ] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn numbered_objects_are_bounded_and_single() {
        let parse = |text| serde_json::from_str::<Numbered<u8>>(text);
        assert_eq!(parse(r#"{"31":1,"0":2}"#).unwrap().0.len(), 2);
        for text in [
            r#"{"32":1}"#,
            r#"{"1":1,"1":1}"#,
            r#"{"a":1}"#,
            r#"{"01":1}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_keep_what_they_hold() {
        let text = r#"{"type":"bastide-test","keyslots":["0"],"blob":"AA","deep":[1,{"a":null}]}"#;
        let token: Token = serde_json::from_str(text).unwrap();
        assert_eq!(token.kind(), "bastide-test");
        assert_eq!(token.keyslots().collect::<Vec<_>>(), [0]);
        let again: Token = serde_json::from_str(&serde_json::to_string(&token).unwrap()).unwrap();
        assert_eq!(again, token);
        for text in [
            r"{}",
            r#"{"type":"","keyslots":[]}"#,
            r#"{"type":"a"}"#,
            r#"{"type":"a","keyslots":[0]}"#,
            r#"{"type":"a","keyslots":["32"]}"#,
            r#"{"type":"a","keyslots":[],"x":1.5}"#,
        ] {
            assert!(serde_json::from_str::<Token>(text).is_err(), "{text}");
        }
    }
}
