//! Who may ask the log what: as the service definitions of the image say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_config::name::ServiceName;
use bastide_config::problem::SIZE_LIMIT;
use bastide_config::service::Service;
use bastide_ipc::log::{INTERFACE, Method};

/// Where the definitions lie.
pub const SERVICES: &str = "/usr/share/bastide/services";

/// The users that may call, and which methods.
#[derive(Debug, Default)]
pub struct Callers(BTreeMap<u32, BTreeSet<&'static str>>);

impl Callers {
    /// Reads the definitions: who asks for a method must also be named by who serves the
    /// log. A definition that is wrong gives nobody anything.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut services = Vec::new();
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let Ok(name) = ServiceName::new(&entry.file_name().to_string_lossy()) else {
                continue;
            };
            let path = entry.path().join("service.toml");
            let mut text = String::new();
            let read = File::open(&path)
                .and_then(|file| file.take(SIZE_LIMIT as u64 + 1).read_to_string(&mut text));
            if read.is_ok()
                && text.len() <= SIZE_LIMIT
                && let Ok(service) = Service::parse(name, &path, &text)
            {
                services.push(service);
            }
        }
        Ok(Self::of(&services))
    }

    fn of(services: &[Service]) -> Self {
        let let_in: BTreeSet<&ServiceName> = services
            .iter()
            .flat_map(|service| &service.serves)
            .filter(|serves| serves.interface == INTERFACE)
            .flat_map(|serves| &serves.callers)
            .collect();
        let mut callers = Self::default();
        for service in services {
            if let_in.contains(&service.name) {
                callers.add(service);
            }
        }
        callers
    }

    fn add(&mut self, service: &Service) {
        for calls in service
            .calls
            .iter()
            .filter(|calls| calls.interface == INTERFACE)
        {
            for method in Method::ALL {
                if calls.methods.iter().any(|named| named == method.as_str()) {
                    let user = self.0.entry(service.user.uid()).or_default();
                    user.insert(method.as_str());
                }
            }
        }
    }

    /// One more caller, for tests.
    #[must_use]
    pub fn with(mut self, uid: u32, methods: &[Method]) -> Self {
        let names = methods.iter().map(|method| method.as_str());
        self.0.entry(uid).or_default().extend(names);
        self
    }

    /// Whether a user may call anything.
    #[must_use]
    pub fn knows(&self, uid: u32) -> bool {
        self.0.get(&uid).is_some_and(|methods| !methods.is_empty())
    }

    /// Whether a user may call a method.
    #[must_use]
    pub fn may(&self, uid: u32, method: Method) -> bool {
        self.0
            .get(&uid)
            .is_some_and(|methods| methods.contains(method.as_str()))
    }
}
