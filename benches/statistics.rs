//! Medians, quartiles and percentiles.

/// Median and quartiles of a set of values.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Summary {
    /// Summarizes the values. Returns `None` if there are no values.
    pub(crate) fn from_values(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let quantile = |quarters: usize| {
            // Interpolate if the quartile lies between two values.
            let (index, rest) = ((values.len() - 1) * quarters / 4, (values.len() - 1) * quarters % 4);
            let next = values[(index + 1).min(values.len() - 1)];
            values[index] + (next - values[index]) * [0.0, 0.25, 0.5, 0.75][rest]
        };
        (!values.is_empty()).then(|| Self { median: quantile(2), lower: quantile(1), upper: quantile(3) })
    }
}

/// Returns these percentiles of a set of values, which must not be empty.
pub(crate) fn percentiles<const N: usize>(mut values: Vec<f64>, percents: [usize; N]) -> [f64; N] {
    values.sort_by(f64::total_cmp);
    percents.map(|percent| values[(values.len() - 1) * percent / 100])
}
