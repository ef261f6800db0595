#include "records/audit_verification.hpp"
#include "records/queries.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

using namespace autoexec;

namespace {

struct FuzzedFolder {
    FuzzedFolder()
    {
        auto text = (std::filesystem::temp_directory_path() / "audit-fuzz-XXXXXX").string();
        if (::mkdtemp(text.data()) == nullptr) std::abort();
        path = text;
    }
    ~FuzzedFolder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

}  // namespace

/// No log and no cursor crash the readers, and pages of any size have the same events. The input is
/// a cursor on a line of its own, then the log.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const FuzzedFolder folder;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto end = std::min(text.find('\n'), size);
    const auto log = text.substr(std::min(end + 1, size));
    std::ofstream(folder.path / records::audit_log_name, std::ios::binary) << log;
    const auto location = records::Folder::of(folder.path, {}, "audit");
    const auto found = records::verify_audit(location, records::AuditChain());
    if (found.chained_lines > found.lines) std::abort();
    AuditFilter filter;
    filter.cursor = text.substr(0, end);
    (void)records::read_audit(location, filter);
    filter.cursor.clear();
    filter.limit = 0;
    const auto all = records::read_audit(location, filter).events.size();
    std::size_t events = 0;
    filter.limit = 2;
    do {
        const auto page = records::read_audit(location, filter);
        events += page.events.size();
        filter.cursor = page.next;
    } while (!filter.cursor.empty());
    if (events != all) std::abort();

    MetricsFilter metrics;
    metrics.cursor = text.substr(0, end);
    (void)records::read_metrics(location, metrics);
    return 0;
}
