#include "cli/session/file_changes.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace autoexec::cli {

std::string_view word_for_change(char kind) noexcept
{
    switch (kind) {
        case 'A':
            return "added";
        case 'D':
            return "deleted";
        case 'R':
            return "renamed";
        case 'C':
            return "copied";
        default:
            return "changed";
    }
}

boost::json::object to_json(const git::ChangeList& changes)
{
    boost::json::array files;
    for (const auto& file : changes.files)
        files.push_back(
            boost::json::object{{"path", text::valid_utf8(file.path)},
                                {"old_path", text::text_or_null(text::valid_utf8(file.old_path))},
                                {"state", word_for_change(file.kind)},
                                {"added", text::or_null(file.added)},
                                {"deleted", text::or_null(file.deleted)}});
    return {
        {"added", changes.added()}, {"deleted", changes.deleted()}, {"files", std::move(files)}};
}

}  // namespace autoexec::cli
