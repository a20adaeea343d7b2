//! Who may call whom, and what each service may touch: as the definitions say, which
//! is what PID 1 enforces.
//!
//! One model for text, picture and JSON; the order is that of names, so that the same
//! definitions give the same bytes.

mod layers;
mod picture;
mod place;
mod resources;
mod text;

use std::collections::BTreeMap;

use bastide_config::service::Service;
use serde::Serialize;

use crate::catalogue::Defined;
use crate::exposure::Exposure;

pub use picture::svg;
pub use resources::{Kind, Resource};
pub use text::text;

/// The name under which PID 1 stands in the graph.
pub const INIT: &str = "init";

/// PID 1's interface.
const INIT_INTERFACE: &str = "org.bastide.Init";

/// The services of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The product.
    pub product: String,
    /// Its services and PID 1, by name.
    pub services: Vec<Node>,
    /// Who may call whom.
    pub calls: Vec<Call>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The file that defines it; none defines PID 1.
    pub definition: Option<String>,
    /// The program with its arguments.
    pub command: String,
    /// The user it runs as, with its number.
    pub user: String,
    /// How exposed it is; PID 1 has no sandbox that could be scored.
    pub exposure: Option<String>,
    /// What it may touch.
    pub resources: Vec<Resource>,
}

/// A call that is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// Who calls.
    pub from: String,
    /// Who is called; `None` when the product has no service that serves it.
    pub to: Option<String>,
    /// The Varlink interface.
    pub interface: String,
    /// The methods, without the interface's name.
    pub methods: Vec<String>,
    /// Why.
    pub why: String,
}

impl Graph {
    /// The graph of these services, which are those of the product.
    #[must_use]
    pub fn new(product: &str, services: &[Defined]) -> Self {
        let mut servers: BTreeMap<&str, &str> = BTreeMap::from([(INIT_INTERFACE, INIT)]);
        for Defined { service, .. } in services {
            for serves in &service.serves {
                servers.insert(&serves.interface, service.name.as_str());
            }
        }
        let mut calls: Vec<Call> = services
            .iter()
            .flat_map(|defined| granted(&defined.service, &servers))
            .collect();
        calls.sort_by(|one, other| {
            (&one.from, &one.to, &one.interface).cmp(&(&other.from, &other.to, &other.interface))
        });
        let mut nodes: Vec<Node> = services.iter().map(node).collect();
        nodes.push(init());
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            product: product.to_owned(),
            services: nodes,
            calls,
        }
    }

    fn calls_of<'graph>(&'graph self, name: &'graph str) -> impl Iterator<Item = &'graph Call> {
        self.calls.iter().filter(move |call| call.from == name)
    }

    fn calls_to<'graph>(&'graph self, name: &'graph str) -> impl Iterator<Item = &'graph Call> {
        self.calls
            .iter()
            .filter(move |call| call.to.as_deref() == Some(name))
    }
}

fn granted<'all>(
    service: &'all Service,
    servers: &'all BTreeMap<&str, &str>,
) -> impl Iterator<Item = Call> + 'all {
    service.calls.iter().map(|calls| Call {
        from: service.name.to_string(),
        to: servers
            .get(calls.interface.as_str())
            .map(|server| (*server).to_owned()),
        interface: calls.interface.clone(),
        methods: calls.methods.clone(),
        why: calls.why.as_str().to_owned(),
    })
}

fn node(defined: &Defined) -> Node {
    let service = &defined.service;
    let exposure = Exposure::of(service);
    let words = std::iter::once(service.program.display().to_string());
    let words: Vec<String> = words.chain(service.arguments.iter().cloned()).collect();
    Node {
        name: service.name.to_string(),
        description: service.description.clone(),
        definition: Some(defined.file.display().to_string()),
        command: words.join(" "),
        user: format!("{} ({})", service.user, service.user.uid()),
        exposure: Some(format!("{} {}", exposure.exposure, exposure.level)),
        resources: resources::of(service),
    }
}

fn init() -> Node {
    Node {
        name: INIT.to_owned(),
        description: "PID 1: starts and supervises the others, has no sandbox itself".to_owned(),
        definition: None,
        command: "/usr/lib/bastide/init".to_owned(),
        user: "root (0)".to_owned(),
        exposure: None,
        resources: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn graph() -> Graph {
        Graph::new(
            "demo",
            &samples::defined(vec![samples::page(), samples::log(), samples::least()]),
        )
    }

    #[test]
    fn calls_lead_to_who_serves_the_interface() {
        let graph = graph();
        let calls: Vec<(&str, Option<&str>)> = graph
            .calls
            .iter()
            .map(|call| (call.from.as_str(), call.to.as_deref()))
            .collect();
        assert_eq!(
            calls,
            [
                ("log", Some("init")),
                ("page", Some("init")),
                ("page", Some("log"))
            ]
        );
    }

    #[test]
    fn a_call_of_what_nobody_serves_stays_without_an_end() {
        let graph = Graph::new("demo", &samples::defined(vec![samples::page()]));
        let lost = graph.calls.iter().find(|call| call.to.is_none()).unwrap();
        assert_eq!(lost.interface, "org.bastide.Log");
        assert!(text(&graph).contains("org.bastide.Log (nobody in demo serves it)"));
        assert!(svg(&graph).contains("nobody"));
    }

    #[test]
    fn the_order_in_which_services_come_changes_nothing() {
        let other = Graph::new(
            "demo",
            &samples::defined(vec![samples::least(), samples::page(), samples::log()]),
        );
        assert_eq!(svg(&graph()), svg(&other));
        assert_eq!(text(&graph()), text(&other));
    }

    #[test]
    fn text_and_picture_name_everything() {
        let graph = graph();
        let (text, svg) = (text(&graph), svg(&graph));
        for word in [
            "org.bastide.Log",
            "/var/lib/log",
            "/sys/class/tpm/tpm0",
            "ttyS0",
            "page",
            "least",
        ] {
            assert!(text.contains(word), "{word} in {text}");
            assert!(svg.contains(word), "{word} in {svg}");
        }
        assert!(svg.contains("shows its &lt;last&gt; lines"), "{svg}");
    }
}
