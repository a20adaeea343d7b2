//! The graph as text.

use super::{Graph, INIT, Node};

/// Column at which what is granted begins.
const INDENT: usize = 16;

/// Everything in the graph, service by service.
#[must_use]
pub fn text(graph: &Graph) -> String {
    let own = graph.services.iter().filter(|node| node.name != INIT);
    let mut text = format!("{}: {} services\n", graph.product, own.count());
    for node in &graph.services {
        text.push('\n');
        text.push_str(&service(graph, node));
    }
    text
}

fn service(graph: &Graph, node: &Node) -> String {
    let mut text = format!("{}: {}\n", node.name, node.description);
    let mut line = |key: &str, what: &str, why: Option<&str>| {
        text.push_str(&format!("  {key:<INDENT$}{what}\n"));
        if let Some(why) = why {
            text.push_str(&format!("  {:<INDENT$}  - {why}\n", ""));
        }
    };
    line("program", &node.command, None);
    line("user", &node.user, None);
    if let Some(exposure) = &node.exposure {
        line("exposure", exposure, None);
    }
    for call in graph.calls_of(&node.name) {
        let to = match &call.to {
            Some(to) => format!("{to}: "),
            None => String::new(),
        };
        let lost = match &call.to {
            Some(_) => String::new(),
            None => format!(" (nobody in {} serves it)", graph.product),
        };
        let what = format!("{to}{}{lost}: {}", call.interface, call.methods.join(", "));
        line("calls", &what, Some(&call.why));
    }
    for call in graph.calls_to(&node.name) {
        let what = format!(
            "{}: {}: {}",
            call.from,
            call.interface,
            call.methods.join(", ")
        );
        line("called by", &what, None);
    }
    for resource in &node.resources {
        line(
            resource.kind.as_str(),
            &resource.what,
            resource.why.as_deref(),
        );
    }
    text
}
