//! The interface files and the Rust types say the same, and an independent
//! parser of the interface language reads the files.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use bastide_ipc::init::{
    BootStep, Core, LoaderTimes, MachineState, Memory, Method, RefusedCandidate, Service,
    ServiceState, Status, Usage, Volume,
};
use bastide_ipc::{init, log, standard};
use serde_json::Value;
use zlink_idl::{CustomType, Interface, Type};

fn interface(text: &'static str) -> Interface<'static> {
    Interface::try_from(text).unwrap_or_else(|error| panic!("{error}"))
}

const USAGE: Usage = Usage {
    memory: 1,
    resident: 1,
    memory_peak: Some(2),
    processor_us: 3,
};

/// A reply in which every optional item is present.
fn full_status() -> Status {
    Status {
        state: MachineState::Ready,
        ready_at: Some(1),
        services: vec![Service {
            name: "console-serial".to_owned(),
            description: "draws".to_owned(),
            state: ServiceState::Ready,
            pid: Some(42),
            restarts: 0,
            started_at: Some(1),
            ready_at: Some(2),
            status: Some("drawn".to_owned()),
            reason: Some("none".to_owned()),
            last_exit: Some("exit status 1".to_owned()),
            usage: Some(USAGE),
        }],
        init_usage: Some(USAGE),
        memory: Some(Memory {
            total: 2,
            resident: 1,
        }),
        steps: vec![BootStep {
            name: "core".to_owned(),
            at: 3,
        }],
        loader: LoaderTimes {
            init: Some(1),
            exec: Some(2),
        },
        core: Some(Core {
            root_hash: "00".repeat(32),
            device: "vda2".to_owned(),
            verified: true,
            corrected_blocks: 0,
        }),
        core_unavailable: Some("no report".to_owned()),
        volume: Some(Volume {
            opened_by: "tpm".to_owned(),
            device: "vda4".to_owned(),
            uuid: "0e0e0e0e-0e0e-4e0e-8e0e-0e0e0e0e0e0e".to_owned(),
            cipher: "aes-xts-random, hmac(sha256)".to_owned(),
            swap: true,
            size: Some(1),
            available: Some(1),
            read_only: false,
        }),
        refused: vec![RefusedCandidate {
            device: "vdb2".to_owned(),
            reason: "another root hash".to_owned(),
        }],
        previous_failure: Some("none".to_owned()),
    }
}

/// Checks that a JSON value is of an interface type, named types included.
fn check(value: &Value, kind: &Type<'_>, types: &BTreeMap<String, CustomType<'_>>, path: &str) {
    let fits = match kind {
        Type::Bool => value.is_boolean(),
        Type::Int => value.is_i64() || value.is_u64(),
        Type::Float => value.is_f64(),
        Type::String => value.is_string(),
        Type::Optional(inner) => return check(value, inner, types, path),
        Type::Array(inner) => {
            let items = value.as_array().unwrap_or_else(|| panic!("{path}: a list"));
            assert!(!items.is_empty(), "{path}: the sample leaves a list empty");
            for item in items {
                check(item, inner, types, path);
            }
            true
        }
        Type::Custom(name) => match &types[&name.to_string()] {
            CustomType::Enum(kind) => {
                let word = value.as_str().unwrap_or_else(|| panic!("{path}: a word"));
                kind.variants().any(|variant| *variant.name() == word)
            }
            CustomType::Object(kind) => {
                let fields = kind
                    .fields()
                    .map(|field| (field.name().to_string(), field.ty()));
                check_fields(value, fields.collect(), types, path);
                true
            }
        },
        other => panic!("{path}: {other} is not used by our interfaces"),
    };
    assert!(fits, "{path}: {value} is no {kind}");
}

fn check_fields(
    value: &Value,
    fields: BTreeMap<String, &Type<'_>>,
    types: &BTreeMap<String, CustomType<'_>>,
    path: &str,
) {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{path}: an object"));
    let ours: Vec<&String> = object.keys().collect();
    let theirs: Vec<&String> = fields.keys().collect();
    assert_eq!(
        ours, theirs,
        "{path}: other fields than in the interface file"
    );
    for (name, kind) in &fields {
        check(&object[name], kind, types, &format!("{path}.{name}"));
    }
}

#[test]
fn the_status_is_what_the_interface_file_says() {
    let interface = interface(init::DESCRIPTION);
    assert_eq!(interface.name().to_string(), init::INTERFACE);
    let types: BTreeMap<String, CustomType<'_>> = interface
        .custom_types()
        .map(|kind| (kind.name().to_string(), kind.clone()))
        .collect();
    let method = interface
        .methods()
        .find(|method| *method.name() == "GetStatus")
        .expect("the method");
    let outputs = method
        .outputs()
        .map(|field| (field.name().to_string(), field.ty()))
        .collect();
    let value = serde_json::to_value(full_status()).expect("serialises");
    check_fields(&value, outputs, &types, "GetStatus");
    let back: Status = serde_json::from_value(value).expect("reads back");
    assert_eq!(back, full_status());
}

#[test]
fn every_state_is_in_the_interface_file_and_back() {
    let interface = interface(init::DESCRIPTION);
    let words = |name: &str| -> Vec<String> {
        interface
            .custom_types()
            .find(|kind| *kind.name() == name)
            .and_then(CustomType::as_enum)
            .expect("an enumeration")
            .variants()
            .map(|variant| variant.name().to_string())
            .collect()
    };
    for word in words("ServiceState") {
        let state: ServiceState =
            serde_json::from_value(Value::String(word.clone())).expect("a state");
        assert_eq!(state.as_str(), word);
    }
    for word in words("MachineState") {
        serde_json::from_value::<MachineState>(Value::String(word)).expect("a state");
    }
}

#[test]
fn the_methods_are_those_of_the_interface_file() {
    let interface = interface(init::DESCRIPTION);
    let theirs: Vec<String> = interface
        .methods()
        .map(|method| method.name().to_string())
        .collect();
    assert_eq!(theirs, Method::ALL.map(Method::as_str));
    for method in interface.methods() {
        assert!(method.has_no_inputs());
    }
}

#[test]
fn the_standard_interface_is_complete() {
    let interface = interface(standard::DESCRIPTION);
    assert_eq!(interface.name().to_string(), standard::INTERFACE);
    assert_eq!(interface.methods().count(), 2);
    assert_eq!(interface.errors().count(), 6);
}

/// Checks a reply in which every optional item is present and no list is empty.
fn check_log_reply(method: &str, value: &Value) {
    let interface = interface(log::DESCRIPTION);
    let types: BTreeMap<String, CustomType<'_>> = interface
        .custom_types()
        .map(|kind| (kind.name().to_string(), kind.clone()))
        .collect();
    let found = interface
        .methods()
        .find(|known| *known.name() == method)
        .expect("the method");
    let outputs = found
        .outputs()
        .map(|field| (field.name().to_string(), field.ty()))
        .collect();
    check_fields(value, outputs, &types, method);
}

#[test]
fn the_replies_of_the_log_are_what_the_interface_file_says() {
    let anchor = Some(log::Anchored { counter: 1, at: 2 });
    let entry = log::Entry {
        stream: "kernel".to_owned(),
        seq: 1,
        boot: 2,
        time: 3,
        boottime: 4,
        source: Some(log::Source {
            kind: "kernel".to_owned(),
            name: "kernel".to_owned(),
            uid: Some(0),
            pid: Some(1),
        }),
        priority: 6,
        facility: Some(0),
        message: "text".to_owned(),
        fields: vec![log::Field {
            name: "a".to_owned(),
            value: "b".to_owned(),
        }],
        cut: false,
        dropped: Some(1),
    };
    let finding = log::Finding {
        stream: Some("kernel".to_owned()),
        file: Some("file".to_owned()),
        line: Some(1),
        seq: Some(1),
        what: "changed".to_owned(),
    };
    let verdict = log::Verdict {
        intact: true,
        problems: vec![finding.clone()],
        notes: vec![finding],
        more_problems: 0,
        more_notes: 0,
        streams: vec![log::Verified {
            name: "kernel".to_owned(),
            records: 1,
            first: 1,
            last: 1,
            chained_only: 0,
        }],
        files: 1,
        bytes: 1,
        boots: 1,
        anchors: 1,
        counter: Some(1),
        root_public: String::new(),
    };
    let status = log::Status {
        boot: 1,
        streams: vec![log::Stream {
            name: "kernel".to_owned(),
            files: 1,
            bytes: 1,
            records: 1,
            kept: 1,
            dropped: 0,
        }],
        bytes: 1,
        bound: 1,
        share: 1,
        ledger_bytes: 1,
        sealed_at: Some(1),
        anchor,
        entries: 1,
        entries_per_second: 1,
        failures: 0,
        last_failure: Some("none".to_owned()),
        disk: Some(log::Disk {
            bytes: 2,
            free: 1,
            percent: 50,
        }),
    };
    let piece = log::Piece {
        file: Some("file".to_owned()),
        offset: Some(0),
        content: Some(String::new()),
        root_public: Some(String::new()),
        counter: Some(1),
    };
    let json = |value: serde_json::Result<Value>| value.expect("serialises");
    let entries = log::Entries {
        entries: vec![entry],
    };
    check_log_reply("Query", &json(serde_json::to_value(entries)));
    check_log_reply("Verify", &json(serde_json::to_value(verdict)));
    check_log_reply("Status", &json(serde_json::to_value(status)));
    check_log_reply("Export", &json(serde_json::to_value(piece)));
    let reply = log::AnchorReply { anchor };
    check_log_reply("Anchor", &json(serde_json::to_value(reply)));
}

#[test]
fn the_calls_of_the_log_are_what_the_interface_file_says() {
    let interface = interface(log::DESCRIPTION);
    assert_eq!(interface.name().to_string(), log::INTERFACE);
    let theirs: Vec<String> = interface
        .methods()
        .map(|method| method.name().to_string())
        .collect();
    assert_eq!(theirs, log::Method::ALL.map(log::Method::as_str));
    for method in interface.methods() {
        let theirs: Vec<String> = method
            .inputs()
            .map(|field| field.name().to_string())
            .collect();
        if *method.name() == "Query" {
            let value = serde_json::to_value(log::Query::default()).expect("serialises");
            let mut ours: Vec<&String> = value.as_object().expect("an object").keys().collect();
            ours.sort();
            let mut theirs: Vec<&String> = theirs.iter().collect();
            theirs.sort();
            assert_eq!(ours, theirs);
        } else {
            assert!(theirs.is_empty());
        }
    }
}

#[test]
fn queries_are_read_and_refusals_name_the_parameter() {
    let ask = |parameters: &str| {
        let text = format!(r#"{{"method":"org.bastide.Log.Query","parameters":{parameters}}}"#);
        let call = bastide_ipc::message::Call::parse(text.as_bytes()).expect("a call");
        log::Request::of(&call, "Query")
    };
    let Ok(log::Request::Query(query)) = ask(r#"{"since":5,"source":"kernel","follow":null}"#)
    else {
        panic!("a query");
    };
    assert_eq!((query.since, query.follow), (Some(5), None));
    for (parameters, name) in [
        (r#"{"since":-1}"#, "since"),
        (r#"{"limit":"x"}"#, "limit"),
        (r#"{"priority":300}"#, "priority"),
        (r#"{"else":1}"#, "else"),
    ] {
        let refusal = ask(parameters).expect_err("a refusal");
        assert_eq!(refusal.parameters["parameter"], name);
    }
}
