//! What the tests share: real hosts with the product on them ([`site`]), and whole fleets in one process ([`fleet`]).

pub mod fleet;
pub mod site;
