//! The graph as SVG: services as boxes, calls as arrows from caller to called, and
//! below them a card for each service with what it may touch.

use super::layers::arrange;
use super::place::{BOX, places, size};
use super::resources::Kind;
use super::{Call, Graph, Node};
use crate::xml::Document;

const MARGIN: i32 = 32;
const TOP: i32 = 84;

/// Width of a card, and room between two.
const CARD: i32 = 372;
const CARD_GAP: i32 = 20;

/// The most cards beside each other.
const CARDS: usize = 4;

/// Height of a line in a card.
const LINE: i32 = 17;

/// Room for a card's heading.
const HEADING: i32 = 46;

/// Letters that fit into a line of a card.
const LETTERS: usize = 37;

/// Letters that fit into a line of a box.
const BOX_LETTERS: usize = 38;

const INK: &str = "#1c2733";
const FAINT: &str = "#5d6b7a";
const LINE_COLOUR: &str = "#44607c";
const BAD: &str = "#b3261e";

/// The picture.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let number = |name: &str| graph.services.iter().position(|node| node.name == name);
    let known: Vec<(usize, Option<usize>, &Call)> = graph
        .calls
        .iter()
        .filter_map(|call| {
            Some((
                number(&call.from)?,
                call.to.as_deref().and_then(number),
                call,
            ))
        })
        .collect();
    let ends: Vec<(usize, Option<usize>)> =
        known.iter().map(|(from, to, _)| (*from, *to)).collect();
    // A call of nobody leads nowhere: for the rows it is one to itself.
    let pairs: Vec<(usize, usize)> = ends
        .iter()
        .map(|(from, to)| (*from, to.unwrap_or(*from)))
        .collect();
    let layers = arrange(graph.services.len(), &pairs);

    let order: Vec<&Node> = layers
        .rows
        .iter()
        .flatten()
        .filter_map(|slot| match slot {
            super::layers::Slot::Service(service) => graph.services.get(*service),
            super::layers::Slot::Passing(_) => None,
        })
        .filter(|node| !node.resources.is_empty())
        .collect();
    let columns = order.len().clamp(1, CARDS);
    let cards_width = size(columns) * (CARD + CARD_GAP) - CARD_GAP;
    let places = places(&layers, graph.services.len(), &ends, TOP, cards_width);

    let cards: Vec<Vec<(Kind, Vec<Row>)>> = order.iter().map(|node| rows(node)).collect();
    let cards_top = places.height + 76;
    let heights: Vec<i32> = cards
        .chunks(columns)
        .map(|row| row.iter().map(|card| card_height(card)).max().unwrap_or(0))
        .collect();
    let bottom = cards_top + heights.iter().map(|height| height + CARD_GAP).sum::<i32>();
    let width = places.width + 2 * MARGIN;
    let height = bottom + MARGIN / 2;

    let mut document = Document::new();
    document.element(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("width", &width),
            ("height", &height),
            ("viewBox", &format!("0 0 {width} {height}")),
            ("font-family", &"DejaVu Sans, Verdana, sans-serif"),
            ("font-size", &12),
            ("fill", &INK),
        ],
        |svg| {
            let title = format!("Bastide {}", graph.product);
            svg.leaf("title", &[], &title);
            marker(svg);
            svg.empty("rect", &[("width", &"100%"), ("height", &"100%"), ("fill", &"#ffffff")]);
            svg.leaf(
                "text",
                &[("x", &MARGIN), ("y", &38), ("font-size", &20), ("font-weight", &"bold")],
                &title,
            );
            svg.leaf(
                "text",
                &[("x", &MARGIN), ("y", &58), ("fill", &FAINT)],
                "Who may call whom: each arrow is a Varlink interface with its methods, and there is no other way.",
            );
            svg.element("g", &[("transform", &format!("translate({MARGIN} 0)"))], |svg| {
                for (index, (_, _, call)) in known.iter().enumerate() {
                    arrow(svg, &places.ways[index], layers.upward[index], call);
                }
                for (index, (_, _, call)) in known.iter().enumerate() {
                    label(svg, &places.ways[index], layers.upward[index], call);
                }
                for (node, place) in graph.services.iter().zip(&places.boxes) {
                    service(svg, node, *place);
                }
                svg.leaf(
                    "text",
                    &[("x", &0), ("y", &(cards_top - 18)), ("fill", &FAINT)],
                    "What each may touch besides /usr, /tmp of its own and the harmless devices. Point at a line to see why.",
                );
                let mut top = cards_top;
                for ((nodes, cards), height) in order.chunks(columns).zip(cards.chunks(columns)).zip(&heights) {
                    for (column, (node, card)) in nodes.iter().zip(cards).enumerate() {
                        let left = size(column) * (CARD + CARD_GAP);
                        self::card(svg, node, card, (left, top, *height));
                    }
                    top += height + CARD_GAP;
                }
            });
        },
    );
    document.finish()
}

/// The head of an arrow.
fn marker(svg: &mut Document) {
    svg.element("defs", &[], |svg| {
        svg.element(
            "marker",
            &[
                ("id", &"head"),
                ("viewBox", &"0 0 10 10"),
                ("refX", &9),
                ("refY", &5),
                ("markerWidth", &8),
                ("markerHeight", &8),
                ("orient", &"auto-start-reverse"),
            ],
            |svg| {
                svg.empty(
                    "path",
                    &[("d", &"M0 0 L10 5 L0 10 z"), ("fill", &LINE_COLOUR)],
                );
            },
        );
    });
}

/// How far below the box the label of a call ends.
const LABEL_END: i32 = 56;

/// The line of a call: straight down behind its label, then curves through the points
/// on its way.
fn arrow(svg: &mut Document, way: &[(i32, i32)], upward: bool, call: &Call) {
    let Some(((x, y), rest)) = way.split_first() else {
        return;
    };
    let bend = y + LABEL_END;
    let mut path = format!("M{x} {y} L{x} {bend}");
    let mut from = (*x, bend);
    for (index, to) in rest.iter().enumerate() {
        // Every second point lies straight below the one before: past a row.
        if index % 2 == 1 {
            path.push_str(&format!(" L{} {}", to.0, to.1));
        } else {
            let middle = (from.1 + to.1) / 2;
            path.push_str(&format!(
                " C{} {middle} {} {middle} {} {}",
                from.0, to.0, to.0, to.1
            ));
        }
        from = *to;
    }
    let head: (&str, &dyn std::fmt::Display) = match (call.to.is_some(), upward) {
        (false, _) => ("stroke-dasharray", &"4 3"),
        (true, false) => ("marker-end", &"url(#head)"),
        (true, true) => ("marker-start", &"url(#head)"),
    };
    svg.empty(
        "path",
        &[
            ("d", &path),
            ("fill", &"none"),
            ("stroke", &LINE_COLOUR),
            ("stroke-width", &"1.6"),
            head,
        ],
    );
}

/// The label of a call, below the box where its line begins.
fn label(svg: &mut Document, way: &[(i32, i32)], upward: bool, call: &Call) {
    let Some((x, y)) = way.first() else {
        return;
    };
    let nobody = call.to.is_none();
    let mut lines = wrapped(&call.methods.join(", "), 30);
    if nobody {
        lines = vec!["nobody serves it".to_owned()];
    }
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let letters = longest.unwrap_or(0).max(call.interface.chars().count());
    let width = size(letters) * 7 + 8;
    let (left, top) = (x - width / 2, y + 12);
    svg.element("g", &[("text-anchor", &"middle")], |svg| {
        svg.leaf("title", &[], &call.why);
        svg.empty(
            "rect",
            &[
                ("x", &left),
                ("y", &top),
                ("width", &width),
                ("height", &(18 + 13 * size(lines.len()))),
                ("fill", &"#ffffff"),
            ],
        );
        let arrow = if upward && !nobody { "\u{2191} " } else { "" };
        svg.leaf(
            "text",
            &[
                ("x", x),
                ("y", &(top + 13)),
                ("fill", if nobody { &BAD } else { &LINE_COLOUR }),
                ("font-weight", &"bold"),
            ],
            &format!("{arrow}{}", call.interface),
        );
        for (index, line) in lines.iter().enumerate() {
            svg.leaf(
                "text",
                &[
                    ("x", x),
                    ("y", &(top + 27 + 13 * size(index))),
                    ("font-size", &11),
                    ("fill", if nobody { &BAD } else { &FAINT }),
                ],
                line,
            );
        }
    });
}

/// Colours of a service: ground, edge.
fn colours(exposure: Option<&str>) -> (&'static str, &'static str) {
    let level = exposure.and_then(|text| text.split(' ').nth(1));
    match level {
        None => ("#eceff3", "#5d6b7a"),
        Some("PERFECT" | "SAFE") => ("#e6f4ea", "#2e7d46"),
        Some("OK") => ("#e4f1fb", "#2a6f9e"),
        Some("MEDIUM") => ("#fdf3dc", "#a86b00"),
        Some(_) => ("#fde7e5", BAD),
    }
}

fn service(svg: &mut Document, node: &Node, (left, top, width): (i32, i32, i32)) {
    let (ground, edge) = colours(node.exposure.as_deref());
    let middle = left + width / 2;
    svg.element("g", &[("text-anchor", &"middle")], |svg| {
        svg.leaf("title", &[], &node.command);
        svg.empty(
            "rect",
            &[
                ("x", &left),
                ("y", &top),
                ("width", &width),
                ("height", &BOX),
                ("rx", &8),
                ("fill", &ground),
                ("stroke", &edge),
                ("stroke-width", &"1.6"),
            ],
        );
        svg.leaf(
            "text",
            &[
                ("x", &middle),
                ("y", &(top + 20)),
                ("font-size", &15),
                ("font-weight", &"bold"),
            ],
            &node.name,
        );
        let lines = wrapped(&node.description, BOX_LETTERS);
        for (index, line) in lines.iter().take(2).enumerate() {
            svg.leaf(
                "text",
                &[
                    ("x", &middle),
                    ("y", &(top + 37 + 13 * size(index))),
                    ("font-size", &11),
                ],
                line,
            );
        }
        let exposure = match &node.exposure {
            Some(exposure) => format!(" \u{b7} exposure {exposure}"),
            None => String::new(),
        };
        svg.leaf(
            "text",
            &[
                ("x", &middle),
                ("y", &(top + BOX - 9)),
                ("font-size", &11),
                ("fill", &edge),
            ],
            &format!("{}{exposure}", node.user),
        );
    });
}

/// A thing in a card: its lines, and why it is granted.
struct Row {
    lines: Vec<String>,
    why: Option<String>,
}

/// What a card holds, by kind. Limits are short, and one row.
fn rows(node: &Node) -> Vec<(Kind, Vec<Row>)> {
    let mut kinds: Vec<(Kind, Vec<Row>)> = Vec::new();
    let mut limits = Vec::new();
    for resource in &node.resources {
        if resource.kind == Kind::Limit {
            limits.push(resource.what.as_str());
            continue;
        }
        let row = Row {
            lines: wrapped(&resource.what, LETTERS),
            why: resource.why.clone(),
        };
        match kinds.last_mut() {
            Some((kind, rows)) if *kind == resource.kind => rows.push(row),
            _ => kinds.push((resource.kind, vec![row])),
        }
    }
    if !limits.is_empty() {
        let lines = wrapped(&limits.join(", "), LETTERS);
        kinds.push((Kind::Limit, vec![Row { lines, why: None }]));
    }
    kinds
}

fn card_height(card: &[(Kind, Vec<Row>)]) -> i32 {
    let rows = card.iter().flat_map(|(_, rows)| rows);
    let lines: usize = rows.map(|row| row.lines.len()).sum();
    HEADING + size(lines) * LINE + size(card.len()) * 5 + 8
}

/// The colour of a kind of thing.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Socket | Kind::Serves | Kind::Family => "#6b4fa0",
        Kind::Device => "#8a4b08",
        Kind::Reads => "#2a6f9e",
        Kind::Writes | Kind::State => "#2e7d46",
        Kind::Capability | Kind::Shares => BAD,
        Kind::Calls | Kind::Limit => FAINT,
    }
}

fn card(
    svg: &mut Document,
    node: &Node,
    card: &[(Kind, Vec<Row>)],
    (left, top, height): (i32, i32, i32),
) {
    let (ground, edge) = colours(node.exposure.as_deref());
    svg.empty(
        "rect",
        &[
            ("x", &left),
            ("y", &top),
            ("width", &CARD),
            ("height", &height),
            ("rx", &8),
            ("fill", &"#fbfcfd"),
            ("stroke", &"#c9d2db"),
        ],
    );
    svg.empty(
        "path",
        &[
            (
                "d",
                &format!(
                    "M{left} {} v-22 a8 8 0 0 1 8 -8 h{} a8 8 0 0 1 8 8 v22 z",
                    top + 30,
                    CARD - 16
                ),
            ),
            ("fill", &ground),
            ("stroke", &edge),
            ("stroke-opacity", &"0.35"),
        ],
    );
    svg.leaf(
        "text",
        &[
            ("x", &(left + 12)),
            ("y", &(top + 20)),
            ("font-size", &13),
            ("font-weight", &"bold"),
        ],
        &node.name,
    );
    let mut y = top + HEADING;
    for (kind, rows) in card {
        svg.leaf(
            "text",
            &[
                ("x", &(left + 12)),
                ("y", &y),
                ("font-size", &11),
                ("font-weight", &"bold"),
                ("fill", &colour(*kind)),
            ],
            kind.as_str(),
        );
        for row in rows {
            svg.element(
                "g",
                &[
                    ("font-family", &"DejaVu Sans Mono, monospace"),
                    ("font-size", &11),
                ],
                |svg| {
                    if let Some(why) = &row.why {
                        svg.leaf("title", &[], why);
                    }
                    for (index, line) in row.lines.iter().enumerate() {
                        svg.leaf(
                            "text",
                            // What goes on is set in.
                            &[
                                ("x", &(left + 108 + 10 * size(index.min(1)))),
                                ("y", &(y + LINE * size(index))),
                            ],
                            line,
                        );
                    }
                },
            );
            y += LINE * size(row.lines.len());
        }
        y += 5;
    }
}

/// Breaks a text into lines of at most that many letters, where it may be broken.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line: Vec<char> = Vec::new();
    for letter in text.chars() {
        if line.len() >= letters {
            let rest = line.split_off(end(&line));
            lines.push(line.iter().collect::<String>().trim_end().to_owned());
            line = rest
                .into_iter()
                .skip_while(|letter| *letter == ' ')
                .collect();
        }
        if letter != ' ' || !line.is_empty() {
            line.push(letter);
        }
    }
    if !line.is_empty() {
        lines.push(line.into_iter().collect());
    }
    lines
}

/// Where a line that is full ends best: behind a comma or a slash unless that leaves it
/// short, else behind a blank, else behind a hyphen.
fn end(line: &[char]) -> usize {
    let behind = |marks: &str, least: usize| {
        let place = line.iter().rposition(|letter| marks.contains(*letter))?;
        (place + 1 > least).then_some(place + 1)
    };
    behind(",/", line.len() / 3)
        .or_else(|| behind(" ", 0))
        .or_else(|| behind("-", 0))
        .unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_where_they_may_be() {
        assert_eq!(wrapped("a bc def", 5), ["a bc", "def"]);
        assert_eq!(wrapped("/sys/class/tpm", 10), ["/sys/", "class/tpm"]);
        assert_eq!(wrapped("abcdefgh", 4), ["abcd", "efgh"]);
        assert_eq!(wrapped("PK-8be4-93ca", 9), ["PK-8be4-", "93ca"]);
        assert_eq!(
            wrapped("4 files, 50 % of one", 14),
            ["4 files,", "50 % of one"]
        );
        assert!(wrapped("", 4).is_empty());
    }
}
