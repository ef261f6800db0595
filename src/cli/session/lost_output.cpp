#include "cli/session/lost_output.hpp"

#include "files/resources.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

namespace autoexec::cli {
namespace {

error_code find_log(const records::Folder& place, const std::string& name)
{
    error_code ec;
    const auto folder = place.open(ec);
    if (ec) return ec;
    const auto file = records::Folder::open_log(folder.get(), name, ec);
    struct stat st {};
    if (!ec && ::fstat(file.get(), &st) == 0 && st.st_size == 0)
        ec = make_error_code(boost::system::errc::no_message_available);
    return ec;
}

std::string reason_of(error_code ec)
{
    if (ec == boost::system::errc::no_such_file_or_directory) return "it was removed";
    if (ec == boost::system::errc::no_message_available) return "it is empty";
    const bool by_link = ec == errc::unsafe_path ||
                         ec == boost::system::errc::too_many_symbolic_link_levels ||
                         ec == boost::system::errc::not_a_directory;
    if (by_link) return "its path contains a link or a file";
    return ec.message();
}

}  // namespace

std::string lost_output(const std::filesystem::path& root, const ExecutionResult& result)
{
    if (result.output.empty() || result.attempt_id.empty()) return {};
    const auto place = records::Folder::of({}, root, "output");
    const auto name = text::file_name_of(result.attempt_id) + ".log";
    const auto ec = find_log(place, name);
    if (!ec || files::is_resource_shortage(ec)) return {};
    return fmt::format(
        "The command's output is lost: {}: {}. Commands must not remove or replace {}.",
        (place.path() / name).string(), reason_of(ec), place.path().string());
}

}  // namespace autoexec::cli
