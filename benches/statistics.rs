//! Medians and quartiles.

/// What is left of many values.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Summary {
    /// Nothing comes from nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let quantile = |quarters: usize| {
            // Between the neighbours, where the place is between two values.
            let (place, rest) = ((values.len() - 1) * quarters / 4, (values.len() - 1) * quarters % 4);
            let next = values[(place + 1).min(values.len() - 1)];
            values[place] + (next - values[place]) * [0.0, 0.25, 0.5, 0.75][rest]
        };
        (!values.is_empty()).then(|| Self { median: quantile(2), lower: quantile(1), upper: quantile(3) })
    }
}
