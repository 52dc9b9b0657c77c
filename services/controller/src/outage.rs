//! Failures that last, told once.

/// Whether something fails, so that a line is logged when that changes and not for each attempt.
#[derive(Debug, Default)]
pub(crate) struct Outage(bool);

impl Outage {
    /// True for the first failure after a success.
    #[must_use]
    pub(crate) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    /// True for the first success after a failure.
    #[must_use]
    pub(crate) fn ends(&mut self) -> bool {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let mut outage = Outage::default();
        assert!(!outage.ends());
        assert!(outage.begins() && !outage.begins());
        assert!(outage.ends() && !outage.ends());
        assert!(outage.begins());
    }
}
