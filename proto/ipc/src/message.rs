//! Calls and replies as they go over the wire (<https://varlink.org/Method-Call>).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::standard::StandardError;

/// A method call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Interface and method, joined by a dot.
    pub method: String,
    /// The parameters; a call without any may leave them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// The caller wants no reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneway: bool,
    /// The caller is ready for several replies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// The caller wants to turn the connection into something else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrade: bool,
}

/// A reply to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The result, or the parameters of the error.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// More replies to the same call follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// Interface and name of the error, joined by a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is no JSON of the expected structure.
    #[error("the message is malformed")]
    Malformed(#[source] serde_json::Error),
    /// The method has no interface in front.
    #[error("`{0}` names no interface and method")]
    Method(String),
    /// The peer answered with an error.
    #[error("the call was refused: {0}")]
    Refused(String),
}

impl Call {
    /// A call without parameters.
    #[must_use]
    pub fn new(interface: &str, method: &str) -> Self {
        Self {
            method: format!("{interface}.{method}"),
            parameters: None,
            oneway: false,
            more: false,
            upgrade: false,
        }
    }

    /// Reads a call.
    ///
    /// # Errors
    /// When it is no call.
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let call: Self = serde_json::from_slice(message).map_err(MessageError::Malformed)?;
        if call.split().is_none() {
            return Err(MessageError::Method(call.method));
        }
        Ok(call)
    }

    /// Interface and method apart.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        let (interface, method) = self.method.rsplit_once('.')?;
        (interface.contains('.') && !method.is_empty()).then_some((interface, method))
    }

    /// Checks that a method without parameters got none.
    ///
    /// # Errors
    /// The reply that names the first one.
    pub fn no_parameters(&self) -> Result<(), Reply> {
        match self.parameters.iter().flat_map(Map::keys).next() {
            None => Ok(()),
            Some(parameter) => Err(StandardError::InvalidParameter {
                parameter: parameter.clone(),
            }
            .into()),
        }
    }
}

impl Reply {
    /// A reply without content.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            parameters: Map::new(),
            continues: false,
            error: None,
        }
    }

    /// A reply with content.
    ///
    /// # Errors
    /// When the content is no JSON object.
    pub fn new(content: &impl Serialize) -> Result<Self, MessageError> {
        let value = serde_json::to_value(content).map_err(MessageError::Malformed)?;
        let parameters = serde_json::from_value(value).map_err(MessageError::Malformed)?;
        Ok(Self {
            parameters,
            ..Self::empty()
        })
    }

    /// An error without parameters.
    #[must_use]
    pub fn error(interface: &str, name: &str) -> Self {
        Self {
            error: Some(format!("{interface}.{name}")),
            ..Self::empty()
        }
    }

    /// Reads a reply and its content.
    ///
    /// # Errors
    /// When it is no reply, is an error, or has other content.
    pub fn parse<Content: DeserializeOwned>(message: &[u8]) -> Result<Content, MessageError> {
        let reply: Self = serde_json::from_slice(message).map_err(MessageError::Malformed)?;
        if let Some(error) = reply.error {
            return Err(MessageError::Refused(error));
        }
        serde_json::from_value(Value::Object(reply.parameters)).map_err(MessageError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_parameters() {
        let call = Call::parse(br#"{"method":"org.bastide.Init.GetStatus"}"#).expect("a call");
        assert_eq!(call.split(), Some(("org.bastide.Init", "GetStatus")));
        assert!(call.no_parameters().is_ok());
        let call =
            Call::parse(br#"{"method":"a.b.C","parameters":{"x":1},"more":true}"#).expect("a call");
        assert!(call.more);
        let refusal = call.no_parameters().expect_err("a parameter");
        assert_eq!(
            refusal.error.as_deref(),
            Some("org.varlink.service.InvalidParameter")
        );
        assert_eq!(refusal.parameters["parameter"], "x");
    }

    #[test]
    fn anything_else_is_an_error_and_no_panic() {
        for message in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe",
            br#"{"method":1}"#,
            br#"{"method":"Stop"}"#,
            br#"{"method":"a.Stop"}"#,
            br#"{"method":"a.b."}"#,
            br#"{"method":"a.b.C","parameters":[]}"#,
            br#"{"method":"a.b.C","more":"yes"}"#,
        ] {
            assert!(Call::parse(message).is_err(), "{message:?}");
        }
        // Nesting deeper than the JSON reader's own limit is refused, not followed.
        let deep = format!(
            r#"{{"method":"a.b.C","parameters":{{"x":{}"#,
            "[".repeat(10_000)
        );
        assert!(Call::parse(deep.as_bytes()).is_err());
    }
}
