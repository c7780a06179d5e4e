//! What the tests share: real hosts with the product on them ([`site`]).

pub mod site;
