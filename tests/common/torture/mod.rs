//! Kills processes, records what they had done by then, and checks what the log must hold
//! afterwards.

pub mod damage;
pub mod desk;
pub mod image;
pub mod label;
pub mod life;
pub mod oracle;
pub mod run;
