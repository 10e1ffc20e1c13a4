pub fn write(_: &std::path::Path, _: &std::path::Path) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
