//! `service.toml`.
#![no_main]

use std::path::Path;

use bastide_config::name::ServiceName;
use bastide_config::service::Service;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let name = ServiceName::new("sample").expect("a good name");
    let _verdict = Service::parse(name, Path::new("service.toml"), text);
});
