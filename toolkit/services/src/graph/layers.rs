//! Which service stands in which row, and in which order: callers above whom they
//! call, few crossings (Sugiyama's method, in its simplest form).

use std::cmp::Ordering;

/// A place in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The service with this number.
    Service(usize),
    /// Room for the call with this number to pass by.
    Passing(usize),
}

/// Services in rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layers {
    /// From top to bottom, each from left to right.
    pub rows: Vec<Vec<Slot>>,
    /// For each call whether its caller stands below whom it calls, as happens when
    /// services call each other in a circle.
    pub upward: Vec<bool>,
}

/// How often the rows are put in order, down and up.
const SWEEPS: usize = 4;

/// Puts `count` services in rows; `calls` are pairs of caller and called.
pub(super) fn arrange(count: usize, calls: &[(usize, usize)]) -> Layers {
    let mut upward = circles(count, calls);
    let row = rows(count, calls, &upward);
    for (call, (from, to)) in calls.iter().enumerate() {
        upward[call] = row[*from] >= row[*to];
    }
    let last = row.iter().copied().max().unwrap_or(0);
    let mut rows: Vec<Vec<Slot>> = vec![Vec::new(); last + 1];
    for (service, row) in row.iter().enumerate() {
        rows[*row].push(Slot::Service(service));
    }
    let mut links = Vec::new();
    for (call, (from, to)) in calls.iter().enumerate() {
        let (mut upper, mut lower) = (*from, *to);
        if upward[call] {
            std::mem::swap(&mut upper, &mut lower);
        }
        let mut above = Slot::Service(upper);
        for (between, slots) in rows.iter_mut().enumerate() {
            if (row[upper] + 1..row[lower]).contains(&between) {
                slots.push(Slot::Passing(call));
                links.push((above, Slot::Passing(call), between));
                above = Slot::Passing(call);
            }
        }
        links.push((above, Slot::Service(lower), row[lower]));
    }
    for _ in 0..SWEEPS {
        for index in 1..rows.len() {
            let (before, after) = rows.split_at_mut(index);
            let (above, here) = (&before[index - 1], &mut after[0]);
            sort(here, above, |slot, other| {
                links.contains(&(other, slot, index))
            });
        }
        for index in (1..rows.len()).rev() {
            let (before, after) = rows.split_at_mut(index);
            let (here, below) = (&mut before[index - 1], &after[0]);
            sort(here, below, |slot, other| {
                links.contains(&(slot, other, index))
            });
        }
    }
    Layers { rows, upward }
}

/// The calls that close a circle: those that lead back to a service on the way.
fn circles(count: usize, calls: &[(usize, usize)]) -> Vec<bool> {
    let mut closing = vec![false; calls.len()];
    let mut done = vec![false; count];
    for start in 0..count {
        let mut way = Vec::new();
        visit(start, calls, &mut way, &mut done, &mut closing);
    }
    closing
}

fn visit(
    service: usize,
    calls: &[(usize, usize)],
    way: &mut Vec<usize>,
    done: &mut [bool],
    closing: &mut [bool],
) {
    if done[service] {
        return;
    }
    way.push(service);
    for (call, (from, to)) in calls.iter().enumerate() {
        if *from != service {
            continue;
        }
        if way.contains(to) {
            closing[call] = true;
        } else {
            visit(*to, calls, way, done, closing);
        }
    }
    way.pop();
    done[service] = true;
}

/// The row of each service: one below the lowest of its callers.
fn rows(count: usize, calls: &[(usize, usize)], closing: &[bool]) -> Vec<usize> {
    let mut row = vec![0; count];
    for _ in 0..count {
        for ((from, to), closing) in calls.iter().zip(closing) {
            if !closing {
                row[*to] = row[*to].max(row[*from] + 1);
            }
        }
    }
    row
}

/// Sorts a row by the mean place of what each slot is linked to in the row beside.
fn sort(here: &mut Vec<Slot>, beside: &[Slot], linked: impl Fn(Slot, Slot) -> bool) {
    // Twice the place, so that who is linked to nothing keeps the middle of its own.
    let mut placed: Vec<(usize, usize, usize, Slot)> = here
        .iter()
        .enumerate()
        .map(|(own, slot)| {
            let places = beside
                .iter()
                .enumerate()
                .filter(|(_, other)| linked(*slot, **other));
            let (sum, count) =
                places.fold((0, 0), |(sum, count), (place, _)| (sum + place, count + 1));
            match count {
                0 => (own, 1, own, *slot),
                _ => (sum, count, own, *slot),
            }
        })
        .collect();
    placed.sort_by(
        |one, other| match (one.0 * other.1).cmp(&(other.0 * one.1)) {
            Ordering::Equal => one.2.cmp(&other.2),
            unequal => unequal,
        },
    );
    *here = placed.into_iter().map(|(_, _, _, slot)| slot).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_stand_above_whom_they_call() {
        // 0 calls 1 and 2, 1 calls 2: the first call of 2 passes by the row of 1.
        let layers = arrange(3, &[(0, 1), (0, 2), (1, 2)]);
        assert_eq!(layers.rows.len(), 3);
        assert_eq!(layers.rows[0], [Slot::Service(0)]);
        assert!(layers.rows[1].contains(&Slot::Service(1)));
        assert!(layers.rows[1].contains(&Slot::Passing(1)));
        assert_eq!(layers.rows[2], [Slot::Service(2)]);
        assert_eq!(layers.upward, [false; 3]);
    }

    #[test]
    fn a_circle_has_one_call_upward() {
        let layers = arrange(2, &[(0, 1), (1, 0)]);
        assert_eq!(layers.rows, [[Slot::Service(0)], [Slot::Service(1)]]);
        assert_eq!(layers.upward, [false, true]);
        // Nobody calls itself, but a definition can say so.
        assert_eq!(arrange(1, &[(0, 0)]).upward, [true]);
    }

    #[test]
    fn rows_are_sorted_so_that_calls_do_not_cross() {
        let layers = arrange(4, &[(0, 3), (1, 2)]);
        let names = |row: usize| layers.rows[row].clone();
        let place = |row: usize, service| {
            names(row)
                .iter()
                .position(|slot| *slot == Slot::Service(service))
                .unwrap()
        };
        assert_eq!(place(0, 0) < place(0, 1), place(1, 3) < place(1, 2));
    }

    #[test]
    fn nothing_is_no_picture_and_no_panic() {
        assert_eq!(arrange(0, &[]).rows, [[]]);
    }
}
