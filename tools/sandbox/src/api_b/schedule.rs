//! In which order events and their copies are sent.

use rand::RngExt as _;

use super::Plan;

/// A copy comes at most so many events after the original's turn, or [`Plan::reorder`] where that is more.
const COPY_DELAY: u32 = 4;
/// The random numbers that belong to no event.
const STREAM: u64 = u64::MAX;

impl Plan {
    /// The numbers of the events in the order in which they are sent, copies included.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10")]
    pub(super) fn schedule(&self) -> Vec<u32> {
        let mut rng = self.rng(STREAM);
        let mut turns = Vec::new();
        for number in 0..self.count {
            turns.push((number + rng.random_range(0..=self.reorder), number));
            // 1.2 is one, and another one in five times.
            let another = rng.random_bool(self.duplicates.fract());
            for _ in 0..self.duplicates as u32 + u32::from(another) {
                turns.push((number + rng.random_range(0..=self.reorder.max(COPY_DELAY)), number));
            }
        }
        // Stable: what has the same turn keeps its order.
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().map(|(_, number)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_faults_every_event_comes_once_and_in_order() {
        let plan = Plan { count: 50, duplicates: 0.0, reorder: 0, ..Plan::default() };
        assert!(plan.schedule().into_iter().eq(0..50));
    }

    #[test]
    fn every_event_comes_with_its_copies_and_not_too_late() {
        let plan = Plan { count: 1_000, duplicates: 1.5, reorder: 10, ..Plan::default() };
        let schedule = plan.schedule();
        assert_eq!(schedule, plan.schedule());
        assert_ne!(schedule, Plan { seed: 2, ..plan }.schedule());
        let mut seen = vec![0; 1_000];
        let mut newest = 0;
        for number in schedule {
            seen[number as usize] += 1;
            newest = newest.max(number);
            assert!(newest - number <= 10, "event {number} after event {newest}");
        }
        assert!(seen.iter().all(|times| [2, 3].contains(times)), "{seen:?}");
        assert!(seen.contains(&2) && seen.contains(&3));
    }
}
