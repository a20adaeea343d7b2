//! Who needs whom, and which needs can never be met.

use std::collections::BTreeMap;

use bastide_config::name::ServiceName;
use bastide_config::service::Service;

/// The needs of all services, by their places.
pub(super) struct Graph {
    needs: Vec<Vec<usize>>,
    problems: BTreeMap<usize, String>,
}

impl Graph {
    /// Reads the needs. A service that needs an unknown one, or itself by way of
    /// others, is a problem of its own; the others are not concerned.
    pub(super) fn new(definitions: &[(ServiceName, Result<Service, String>)]) -> Self {
        let places: BTreeMap<&ServiceName, usize> = definitions
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name, index))
            .collect();
        let mut problems = BTreeMap::new();
        let mut needs = Vec::new();
        for (index, (_, definition)) in definitions.iter().enumerate() {
            let wanted = definition
                .as_ref()
                .map_or(&[][..], |service| &service.needs);
            let mut met = Vec::new();
            for need in wanted {
                match places.get(need) {
                    Some(place) => met.push(*place),
                    None => {
                        problems.insert(index, format!("needs {need}, which does not exist"));
                    }
                }
            }
            needs.push(met);
        }
        let mut graph = Self { needs, problems };
        let cyclic: Vec<usize> = (0..graph.needs.len())
            .filter(|index| graph.reaches_itself(*index))
            .collect();
        for index in cyclic {
            let through = definitions[index].0.clone();
            graph
                .problems
                .insert(index, format!("{through} needs itself by way of others"));
        }
        graph
    }

    pub(super) fn problem(&self, index: usize) -> Option<String> {
        self.problems.get(&index).cloned()
    }

    /// The needs of a service; none for one whose needs cannot be met.
    pub(super) fn needs(&self, index: usize) -> Vec<usize> {
        if self.problems.contains_key(&index) {
            return Vec::new();
        }
        self.needs[index].clone()
    }

    /// What a service needs, and what that needs.
    pub(super) fn all_needs(&self, index: usize) -> Vec<usize> {
        let mut all = Vec::new();
        let mut open = self.needs(index);
        while let Some(need) = open.pop() {
            if !all.contains(&need) {
                all.push(need);
                open.extend(self.needs(need));
            }
        }
        all
    }

    pub(super) fn dependants(&self, index: usize) -> Vec<usize> {
        (0..self.needs.len())
            .filter(|other| self.needs(*other).contains(&index))
            .collect()
    }

    fn reaches_itself(&self, start: usize) -> bool {
        let mut seen = vec![false; self.needs.len()];
        let mut open = self.needs[start].clone();
        while let Some(index) = open.pop() {
            if index == start {
                return true;
            }
            if !std::mem::replace(&mut seen[index], true) {
                open.extend(&self.needs[index]);
            }
        }
        false
    }
}
