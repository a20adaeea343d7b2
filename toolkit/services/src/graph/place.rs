//! Where each box and each end of an arrow lies, in pixels.

use super::layers::{Layers, Slot};

/// Height of a service's box.
pub(super) const BOX: i32 = 78;

/// The least width of a service's box.
const WIDTH: i32 = 264;

/// Width that each label below a box takes.
const LABEL: i32 = 206;

/// Width that a call takes in a row which it passes by.
const PASSING: i32 = 24;

/// Room between two boxes of a row.
const GAP: i32 = 40;

/// Room between two rows: a label, and a curve below it.
const BETWEEN: i32 = 126;

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// Left edge, top and width of each service's box.
    pub boxes: Vec<(i32, i32, i32)>,
    /// Per call the points on its way, the caller's side first.
    pub ways: Vec<Vec<(i32, i32)>>,
    /// Width of the widest row.
    pub width: i32,
    /// The lowest point.
    pub height: i32,
}

/// Places rows below each other, each in the middle of `least` or of the widest.
/// `calls` are pairs of caller and called; one that nobody serves has no second.
pub(super) fn places(
    layers: &Layers,
    count: usize,
    calls: &[(usize, Option<usize>)],
    top: i32,
    least: i32,
) -> Places {
    let starts = |service: usize| calls.iter().filter(|(from, _)| *from == service).count();
    let width = |slot: &Slot| match slot {
        Slot::Service(service) => WIDTH.max(LABEL * size(starts(*service))),
        Slot::Passing(_) => PASSING,
    };
    let row_width = |row: &[Slot]| {
        let slots: i32 = row.iter().map(width).sum();
        slots + GAP * (size(row.len()) - 1).max(0)
    };
    let widest = layers.rows.iter().map(|row| row_width(row)).max();
    let widest = widest.unwrap_or(0).max(least);

    let mut boxes = vec![(0, 0, 0); count];
    let mut passing: Vec<Vec<(i32, i32)>> = vec![Vec::new(); calls.len()];
    for (index, row) in layers.rows.iter().enumerate() {
        let y = top + size(index) * (BOX + BETWEEN);
        let mut x = (widest - row_width(row)) / 2;
        for slot in row {
            let width = width(slot);
            match slot {
                Slot::Service(service) => boxes[*service] = (x, y, width),
                Slot::Passing(call) => {
                    let middle = x + width / 2;
                    passing[*call].extend([(middle, y), (middle, y + BOX)]);
                }
            }
            x += width + GAP;
        }
    }
    let ways = ways(layers, calls, &boxes, passing);
    let rows = size(layers.rows.len());
    // Labels of calls that nobody serves lie below the last row.
    let lost = calls.iter().any(|(_, to)| to.is_none());
    Places {
        boxes,
        ways,
        width: widest,
        height: top + rows * BOX + (rows - 1) * BETWEEN + if lost { BETWEEN / 2 } else { 0 },
    }
}

/// The points of each call: out of the caller's box, past the rows between, into the
/// box of whom it calls. Ends share a side evenly, in the order of the other ends.
fn ways(
    layers: &Layers,
    calls: &[(usize, Option<usize>)],
    boxes: &[(i32, i32, i32)],
    passing: Vec<Vec<(i32, i32)>>,
) -> Vec<Vec<(i32, i32)>> {
    let middle = |service: usize| boxes[service].0 + boxes[service].2 / 2;
    let next = |call: usize, first: bool| {
        let way = &passing[call];
        let point = if first { way.first() } else { way.last() };
        point.map(|(x, _)| *x)
    };
    let mut ends: Vec<(Option<i32>, Option<i32>)> = vec![(None, None); calls.len()];
    for (service, (left, _, width)) in boxes.iter().enumerate() {
        // Calls that leave below the box, be it as arrows down or up.
        let mut below: Vec<(i32, usize)> = Vec::new();
        let mut above: Vec<(i32, usize)> = Vec::new();
        for (call, (from, to)) in calls.iter().enumerate() {
            let (upper, lower) = match (to, layers.upward[call]) {
                (None, _) => (Some(*from), None),
                (Some(to), false) => (Some(*from), Some(*to)),
                (Some(to), true) => (Some(*to), Some(*from)),
            };
            if upper == Some(service) {
                let other = lower.map_or(i32::MAX, middle);
                below.push((next(call, true).unwrap_or(other), call));
            }
            if lower == Some(service) {
                let other = upper.map_or(0, middle);
                above.push((next(call, false).unwrap_or(other), call));
            }
        }
        for (list, is_below) in [(&mut below, true), (&mut above, false)] {
            list.sort();
            let parts = size(list.len());
            for (index, (_, call)) in list.iter().enumerate() {
                let x = left + width * (2 * size(index) + 1) / (2 * parts);
                let end = &mut ends[*call];
                if is_below {
                    end.0 = Some(x);
                } else {
                    end.1 = Some(x);
                }
            }
        }
    }
    let mut ways = passing;
    for (call, (from, to)) in calls.iter().enumerate() {
        let (upper, lower) = match (to, layers.upward[call]) {
            (Some(to), true) => (*to, Some(*from)),
            (to, _) => (*from, *to),
        };
        let way = &mut ways[call];
        if let Some(x) = ends[call].0 {
            way.insert(0, (x, boxes[upper].1 + BOX));
        }
        if let (Some(lower), Some(x)) = (lower, ends[call].1) {
            way.push((x, boxes[lower].1));
        }
    }
    ways
}

/// A count as pixels are counted; far more than a picture holds is as many as it can.
pub(super) fn size(count: usize) -> i32 {
    i32::try_from(count)
        .unwrap_or(i32::MAX / 4096)
        .min(i32::MAX / 4096)
}

#[cfg(test)]
mod tests {
    use super::super::layers::arrange;
    use super::*;

    #[test]
    fn boxes_of_a_row_do_not_touch() {
        let layers = arrange(4, &[(0, 3), (1, 3), (2, 3)]);
        let calls = [(0, Some(3)), (1, Some(3)), (2, Some(3))];
        let places = places(&layers, 4, &calls, 10, 0);
        let mut row: Vec<(i32, i32)> = places.boxes[..3]
            .iter()
            .map(|(x, _, width)| (*x, x + width))
            .collect();
        row.sort();
        assert!(
            row.windows(2).all(|pair| pair[0].1 + GAP <= pair[1].0),
            "{row:?}"
        );
        assert!(row.last().unwrap().1 <= places.width);
    }

    #[test]
    fn arrows_begin_and_end_at_boxes_without_crossing() {
        let layers = arrange(3, &[(0, 2), (1, 2)]);
        let places = places(&layers, 3, &[(0, Some(2)), (1, Some(2))], 0, 0);
        let [first, second] = [&places.ways[0], &places.ways[1]];
        assert_eq!((first.len(), second.len()), (2, 2));
        assert_eq!(first[0].1, BOX);
        assert_eq!(first[1].1, BOX + BETWEEN);
        assert_eq!(first[0].0 < second[0].0, first[1].0 < second[1].0);
    }
}
