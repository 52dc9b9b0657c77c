//! What a run of webhooks has done so far.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Plan;
use super::attempt::Answer;

/// Ids of unacknowledged events that a report lists.
const MOST_LISTED: usize = 100;

/// Whether a run is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Events are being sent, or sent again.
    Running,
    /// Every delivery was acknowledged or given up.
    Finished,
    /// It was ended before that.
    Stopped,
}

/// What a run of webhooks has done so far. An event is acknowledged when every callback has answered one of its
/// deliveries with 2xx.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether it goes on.
    pub state: State,
    /// Events acknowledged so far.
    pub acknowledged: usize,
    /// Events and copies that are to be delivered, for each callback.
    pub deliveries: usize,
    /// Of these, acknowledged.
    pub delivered: usize,
    /// Of these, given up after the plan's attempts.
    pub abandoned: usize,
    /// Requests made.
    pub attempts: u64,
    /// Requests by the status of their answer; `none` had no answer.
    pub answers: BTreeMap<String, u64>,
    /// Ids of events not acknowledged so far: the first 100.
    pub unacknowledged: Vec<String>,
    /// What is being done, its time included.
    pub plan: Plan,
}

/// A run: its report, and a few bytes for each event.
pub(super) struct Progress {
    report: Report,
    /// For each event the callbacks that have acknowledged it, a bit each.
    acknowledged: Vec<u16>,
    /// The bits of all callbacks.
    complete: u16,
}

impl Progress {
    /// Of a plan that begins now. There are at most 16 callbacks.
    pub(super) fn new(plan: Plan, deliveries: usize, callbacks: usize) -> Progress {
        Progress {
            acknowledged: vec![0; plan.count as usize],
            complete: (0..callbacks).fold(0, |bits, callback| bits | 1 << callback),
            report: Report {
                state: State::Running,
                acknowledged: 0,
                deliveries,
                delivered: 0,
                abandoned: 0,
                attempts: 0,
                answers: BTreeMap::new(),
                unacknowledged: Vec::new(),
                plan,
            },
        }
    }

    pub(super) fn attempted(&mut self, event: u32, callback: usize, answer: Answer) {
        let status = answer.status.map_or("none".to_owned(), |status| status.as_str().to_owned());
        self.report.attempts += 1;
        *self.report.answers.entry(status).or_default() += 1;
        if answer.is_acknowledgement() {
            self.report.delivered += 1;
            self.acknowledged[event as usize] |= 1 << callback;
        }
    }

    pub(super) fn abandoned(&mut self) {
        self.report.abandoned += 1;
    }

    pub(super) fn ended(&mut self) {
        let Report { delivered, abandoned, deliveries, .. } = self.report;
        self.report.state =
            if delivered + abandoned == deliveries { State::Finished } else { State::Stopped };
    }

    pub(super) fn report(&self) -> Report {
        let missing = self.acknowledged.iter().zip(0..).filter(|(bits, _)| **bits != self.complete);
        let missing: Vec<u32> = missing.map(|(_, event)| event).collect();
        let mut report = self.report.clone();
        report.acknowledged = self.acknowledged.len() - missing.len();
        let listed = missing.into_iter().take(MOST_LISTED);
        report.unacknowledged = listed.map(|number| report.plan.event(number).event_id).collect();
        report
    }

    pub(super) fn has_ended(&self) -> bool {
        self.report.state != State::Running
    }
}
