//! How the shared library is linked.

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    // A program loads the major version that it was linked with.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libalq-aio.so.{major}");
    // A flusher may run code of the library until the process ends: dlclose(3) must not unmap it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A missing symbol is an error of this build, not of a program that uses the library.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    println!("cargo:rerun-if-changed=build.rs");
}
