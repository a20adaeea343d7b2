//! `org.varlink.service`: what every service answers about itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::{Call, Reply};

/// The interface's name.
pub const INTERFACE: &str = "org.varlink.service";

/// The interface's definition.
pub const DESCRIPTION: &str = include_str!("../org.varlink.service.varlink");

/// The errors every service may answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandardError {
    /// The service has no such interface.
    InterfaceNotFound {
        /// Its name.
        interface: String,
    },
    /// The interface has no such method.
    MethodNotFound {
        /// Its name with the interface.
        method: String,
    },
    /// A parameter is missing, unknown or of the wrong type.
    InvalidParameter {
        /// Its name.
        parameter: String,
    },
    /// The caller may not call this.
    PermissionDenied,
}

impl From<StandardError> for Reply {
    fn from(error: StandardError) -> Self {
        let (name, parameter) = match error {
            StandardError::InterfaceNotFound { interface } => {
                ("InterfaceNotFound", Some(("interface", interface)))
            }
            StandardError::MethodNotFound { method } => {
                ("MethodNotFound", Some(("method", method)))
            }
            StandardError::InvalidParameter { parameter } => {
                ("InvalidParameter", Some(("parameter", parameter)))
            }
            StandardError::PermissionDenied => ("PermissionDenied", None),
        };
        let mut reply = Reply::error(INTERFACE, name);
        reply.parameters = parameter
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::String(value)))
            .collect::<Map<_, _>>();
        reply
    }
}

/// What a service says about itself (`GetInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Who makes it.
    pub vendor: String,
    /// What it is part of.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Where more is said.
    pub url: String,
    /// The interfaces it has, this one included.
    pub interfaces: Vec<String>,
}

/// Answers a call of `org.varlink.service` for a service that has `interfaces`,
/// given as pairs of name and definition.
#[must_use]
pub fn answer(call: &Call, method: &str, info: &Info, interfaces: &[(&str, &str)]) -> Reply {
    let reply = match method {
        "GetInfo" => call.no_parameters().and_then(|()| {
            Reply::new(info).map_err(|_| Reply::error(INTERFACE, "InvalidParameter"))
        }),
        "GetInterfaceDescription" => describe(call, interfaces),
        _ => Err(StandardError::MethodNotFound {
            method: call.method.clone(),
        }
        .into()),
    };
    reply.unwrap_or_else(|refusal| refusal)
}

fn describe(call: &Call, interfaces: &[(&str, &str)]) -> Result<Reply, Reply> {
    let invalid = |parameter: &str| {
        Reply::from(StandardError::InvalidParameter {
            parameter: parameter.to_owned(),
        })
    };
    let parameters = call
        .parameters
        .as_ref()
        .ok_or_else(|| invalid("interface"))?;
    if let Some(unknown) = parameters.keys().find(|key| *key != "interface") {
        return Err(invalid(unknown));
    }
    let name = parameters
        .get("interface")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("interface"))?;
    let own = [(INTERFACE, DESCRIPTION)];
    let description = own
        .iter()
        .chain(interfaces)
        .find(|(known, _)| *known == name)
        .map(|(_, description)| (*description).to_owned())
        .ok_or_else(|| {
            Reply::from(StandardError::InterfaceNotFound {
                interface: name.to_owned(),
            })
        })?;
    let mut reply = Reply::empty();
    reply
        .parameters
        .insert("description".to_owned(), Value::String(description));
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(parameters: &str) -> Reply {
        let text = format!(
            r#"{{"method":"org.varlink.service.GetInterfaceDescription","parameters":{parameters}}}"#
        );
        let call = Call::parse(text.as_bytes()).expect("a call");
        let info = Info {
            vendor: String::new(),
            product: String::new(),
            version: String::new(),
            url: String::new(),
            interfaces: Vec::new(),
        };
        answer(
            &call,
            "GetInterfaceDescription",
            &info,
            &[("org.bastide.Init", "text")],
        )
    }

    #[test]
    fn interfaces_are_described_or_refused_by_name() {
        let reply = ask(r#"{"interface":"org.bastide.Init"}"#);
        assert_eq!(reply.parameters["description"], "text");
        let reply = ask(r#"{"interface":"org.varlink.service"}"#);
        assert_eq!(reply.parameters["description"], DESCRIPTION);
        for (parameters, error) in [
            (r#"{"interface":"org.example"}"#, "InterfaceNotFound"),
            ("{}", "InvalidParameter"),
            (r#"{"interface":1}"#, "InvalidParameter"),
            (r#"{"interface":"org.example","x":1}"#, "InvalidParameter"),
        ] {
            let expected = format!("{INTERFACE}.{error}");
            assert_eq!(ask(parameters).error, Some(expected), "{parameters}");
        }
    }
}
