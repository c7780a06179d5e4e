//! The comparison.

use crate::inputs::Inputs;
use crate::output::Plan;

/// The plan that leads from what was seen to what is wanted.
pub fn plan(inputs: &Inputs) -> Plan {
    Plan {
        warnings: inputs.warnings.clone(),
        ..Plan::default()
    }
}
