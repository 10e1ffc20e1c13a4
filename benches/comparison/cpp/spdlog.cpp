// spdlog, the C++ library, with its asynchronous logger: a basic file sink, a queue of 8192 messages that blocks when it is full,
// one thread, the message alone as its pattern. It takes a turn as benches/common/rounds.rs describes:
//
//     spdlog NAME bursts|sustained PRODUCERS LEN COUNT PATH
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

using Clock = std::chrono::steady_clock;

// The records of benches/common/records.rs, without the newline, which spdlog adds.
struct Records {
    static constexpr uint64_t digits_mask = 0x0f0f0f0f0f0f0f0f, letters = 0x4040404040404040;
    std::string record;
    uint64_t digits = 0;

    Records(size_t len, int writer) : record(len - 1, 'r') { record[8] = char('A' + writer); }

    const std::string &next() {
        uint64_t now = digits | letters;
        std::memcpy(record.data(), &now, sizeof now);
        digits = ((digits | ~digits_mask) + 1) & digits_mask;
        return record;
    }
};

static double nanoseconds(Clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
}

static void figure(const char *name, double value) { std::printf("figure %s %f\n", name, value); }

static double quantile(std::vector<double> &sorted, double q) {
    size_t n = size_t(q * double(sorted.size()) + 0.9999999);
    return sorted[std::min(sorted.size() - 1, n ? n - 1 : 0)];
}

static std::shared_ptr<spdlog::logger> open_log(const char *path) {
    spdlog::init_thread_pool(8192, 1);
    auto logger = spdlog::basic_logger_mt<spdlog::async_factory>("log", path);
    logger->set_pattern("%v");
    return logger;
}

static void pause_from(Clock::time_point start) {
    while (Clock::now() - start < std::chrono::microseconds(100)) {
    }
}

static void bursts(size_t len, size_t count, const char *path) {
    constexpr size_t burst = 64, warm_up = 200;
    auto logger = open_log(path);
    Records records(len, 0);
    std::vector<std::string> block(burst);
    std::vector<double> whole, calls;
    auto fill = [&] {
        for (auto &record : block) record = records.next();
    };
    for (size_t n = 0; n < warm_up + count; n++) {
        fill();
        auto start = Clock::now();
        for (auto &record : block) logger->info(record);
        double took = nanoseconds(Clock::now() - start);
        if (n >= warm_up) whole.push_back(took / burst);
        pause_from(start);
    }
    for (size_t n = 0; n < count; n++) {
        auto began = Clock::now();
        fill();
        for (auto &record : block) {
            auto start = Clock::now();
            logger->info(record);
            calls.push_back(nanoseconds(Clock::now() - start));
        }
        pause_from(began);
    }
    logger.reset();
    spdlog::shutdown();
    std::sort(whole.begin(), whole.end());
    std::sort(calls.begin(), calls.end());
    figure("ns", quantile(whole, 0.5));
    figure("p50", quantile(calls, 0.5));
    figure("p99", quantile(calls, 0.99));
    figure("p999", quantile(calls, 0.999));
    figure("p9999", quantile(calls, 0.9999));
    figure("max", calls.back());
}

static double cpu_ns() {
    timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return double(used.tv_sec) * 1e9 + double(used.tv_nsec);
}

static double peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::atof(line.c_str() + 6);
    return 0;
}

static void sustained(size_t producers, size_t len, size_t count, const char *path) {
    auto logger = open_log(path);
    size_t each = count / producers;
    double cpu = cpu_ns();
    auto start = Clock::now();
    auto append = [&](size_t writer) {
        Records records(len, int(writer));
        for (size_t n = 0; n < each; n++) logger->info(records.next());
    };
    std::vector<std::thread> threads;
    for (size_t writer = 1; writer < producers; writer++) threads.emplace_back(append, writer);
    append(0);
    for (auto &thread : threads) thread.join();
    logger.reset();
    spdlog::shutdown();
    double ns = nanoseconds(Clock::now() - start), all = double(each * producers);
    figure("ns", ns / all);
    figure("cpu_ns", (cpu_ns() - cpu) / all);
    figure("gb_s", all * double(len) / ns);
    figure("peak_kib", peak_kib());
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    std::string kind = argv[2];
    size_t producers = std::strtoul(argv[3], nullptr, 10), len = std::strtoul(argv[4], nullptr, 10);
    size_t count = std::strtoul(argv[5], nullptr, 10);
    if (kind == "bursts")
        bursts(len, count, argv[6]);
    else if (kind == "sustained")
        sustained(producers, len, count, argv[6]);
    else
        return 2;
}
