//! Anchors: how far each stream has come, together with a step of the TPM's counter.

use anyhow::{Context, Result};
use bastide_log_format::entry::Priority;
use bastide_log_format::ledger::{Anchor as AnchorRecord, Pin, Says};
use bastide_log_format::record::Stamp;

use crate::disk::Disk;
use crate::settings::SECOND;
use crate::stream::Stream;

use super::Store;

/// While the ledger of this boot is longer than half its bound, anchors are this much
/// rarer: a machine that is never started anew keeps its ledger.
const RARER: u64 = 8;

/// A day, in microseconds.
const DAY: u64 = 24 * 60 * 60 * SECOND;

impl<Medium: Disk> Store<Medium> {
    /// Seals every stream, names the last record of each in the ledger, and raises the
    /// TPM's counter.
    pub fn anchor(&mut self, stamp: Stamp) {
        self.anchored_at = stamp.boottime;
        self.grave = false;
        for name in self.names() {
            self.flush_stream(&name, stamp);
            self.seal(&name, stamp);
            self.sync(&name);
        }
        if let Err(error) = self.try_anchor(stamp) {
            if !std::mem::replace(&mut self.anchor_failed, true) {
                self.remark(Priority::ERROR, format!("no anchor in the TPM: {error:#}"));
            }
        } else {
            self.anchor_failed = false;
        }
    }

    fn try_anchor(&mut self, stamp: Stamp) -> Result<()> {
        let pins = self.moved();
        let value = match &mut self.anchor {
            Some(anchor) => anchor.read().context("cannot read the counter"),
            None => Err(anyhow::anyhow!("there is no counter")),
        };
        let counter = match value {
            Ok(value) => value.saturating_add(1),
            Err(error) => {
                self.write_ledger(stamp, Says::Pin { pins })?;
                return Err(error);
            }
        };
        // On the disk first: a crash here leaves a step that is promised and not made,
        // and never one that nothing accounts for.
        self.write_ledger(stamp, Says::Anchor(AnchorRecord { counter, pins }))?;
        self.facts.promised(counter, stamp);
        let Some(anchor) = &mut self.anchor else {
            return Ok(());
        };
        anchor.increment().context("cannot raise the counter")
    }

    /// The streams that have moved since the ledger named them.
    fn moved(&self) -> Vec<Pin> {
        let moved = |stream: &&Stream| stream.committed.seq() > stream.pinned;
        self.streams
            .values()
            .filter(moved)
            .map(|stream| stream.committed.pin())
            .collect()
    }

    pub(super) fn has_moved(&self) -> bool {
        self.streams
            .values()
            .any(|stream| stream.committed.seq() > stream.pinned)
    }

    pub(super) fn anchor_span(&self) -> u64 {
        self.settings.anchor_after.saturating_mul(self.rarer())
    }

    fn rarer(&self) -> u64 {
        let long = self.ledger.size() > self.settings.ledger_bound / 2;
        if long { RARER } else { 1 }
    }

    /// When a grave entry has an anchor of its own, if one waits and the day, as of
    /// `now`, has any left.
    pub(super) fn early_anchor_at(&self, now: u64) -> Option<u64> {
        let (since, count) = self.early;
        let left = count < self.settings.early_anchors || now >= since.saturating_add(DAY);
        let span = self
            .settings
            .early_anchor_after
            .saturating_mul(self.rarer());
        (self.grave && left).then(|| self.anchored_at.saturating_add(span))
    }

    pub(super) fn count_early_anchor(&mut self, now: u64) {
        let (since, count) = self.early;
        self.early = if now >= since.saturating_add(DAY) {
            (now, 1)
        } else {
            (since, count.saturating_add(1))
        };
    }
}
