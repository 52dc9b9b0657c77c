//! What a run of webhooks has done so far.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
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
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Events in the plan.
    pub events: u32,
    /// Events acknowledged so far.
    pub acknowledged: u32,
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
    /// What is being done, its times included.
    pub plan: Plan,
}

/// The state of a run, in a few bytes an event.
pub(super) struct Progress {
    started_at: DateTime<Utc>,
    ended: Option<(DateTime<Utc>, State)>,
    plan: Plan,
    deliveries: usize,
    delivered: usize,
    abandoned: usize,
    attempts: u64,
    answers: BTreeMap<Option<StatusCode>, u64>,
    /// For each event the callbacks that have acknowledged it, a bit each.
    acknowledged: Vec<u16>,
    /// The bits of all callbacks.
    complete: u16,
}

impl Progress {
    /// Of a plan that begins now. There are at most 16 callbacks.
    pub(super) fn new(plan: Plan, deliveries: usize, callbacks: usize) -> Progress {
        Progress {
            started_at: Utc::now(),
            ended: None,
            deliveries,
            delivered: 0,
            abandoned: 0,
            attempts: 0,
            answers: BTreeMap::new(),
            acknowledged: vec![0; plan.count as usize],
            complete: (0..callbacks).fold(0, |bits, callback| bits | 1 << callback),
            plan,
        }
    }

    pub(super) fn attempted(&mut self, event: u32, callback: usize, answer: Answer) {
        self.attempts += 1;
        *self.answers.entry(answer.status).or_default() += 1;
        if answer.is_acknowledgement() {
            self.delivered += 1;
            self.acknowledged[event as usize] |= 1 << callback;
        }
    }

    pub(super) fn abandoned(&mut self) {
        self.abandoned += 1;
    }

    pub(super) fn ended(&mut self) {
        let finished = self.delivered + self.abandoned == self.deliveries;
        self.ended = Some((Utc::now(), if finished { State::Finished } else { State::Stopped }));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn report(&self) -> Report {
        let missing = || self.acknowledged.iter().zip(0..).filter(|(bits, _)| **bits != self.complete);
        let text =
            |status: &Option<StatusCode>| status.map_or("none".into(), |status| status.as_str().to_owned());
        Report {
            state: self.ended.map_or(State::Running, |(_, state)| state),
            started_at: self.started_at,
            ended_at: self.ended.map(|(at, _)| at),
            events: self.plan.count,
            acknowledged: self.acknowledged.iter().map(|bits| u32::from(*bits == self.complete)).sum(),
            deliveries: self.deliveries,
            delivered: self.delivered,
            abandoned: self.abandoned,
            attempts: self.attempts,
            answers: self.answers.iter().map(|(status, count)| (text(status), *count)).collect(),
            unacknowledged: missing()
                .take(MOST_LISTED)
                .map(|(_, number)| self.plan.event(number).event_id)
                .collect(),
            plan: self.plan.clone(),
        }
    }
}
