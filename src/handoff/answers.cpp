#include "handoff/answers.hpp"

#include "handoff/claims.hpp"
#include "protocol/question_format.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace autoexec::handoff {
namespace {

using files::UniqueFd;

constexpr char answers_name[] = "answers";
constexpr char answers_folder[] = "autoexec/answers";

UniqueFd open_answers(const std::filesystem::path& git_dir)
{
    error_code ec;
    return files::open_folder_without_links(git_dir / answers_folder, ec);
}

}  // namespace

error_code put_answer_file(const std::optional<std::filesystem::path>& git_dir,
                           const std::string& attempt_id, const std::string& text, unsigned mode)
{
    if (!git_dir) return make_error_code(boost::system::errc::not_supported);
    const auto base = files::open_folder(*git_dir);
    if (!base) return files::last_error();
    error_code ec;
    const auto name = text::file_name_of(attempt_id);
    // Tried twice: another executor of the repository may remove the empty folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = files::make_folders(base.get(), answers_folder, ec);
        if (folder) ec = files::replace_file(folder.get(), name, text, mode, Durability::none);
        if (!ec) break;
    }
    return ec;
}

std::string take_answer_file(const std::optional<std::filesystem::path>& git_dir,
                             const std::string& attempt_id, const files::Owners& owners)
{
    const auto folder = git_dir ? open_answers(*git_dir) : UniqueFd();
    if (!folder) return {};
    const auto name = text::file_name_of(attempt_id);
    auto file = files::read_regular(folder.get(), name, protocol::answer_limit, owners);
    if (file.state == FoundFile::State::absent) return {};
    (void)files::remove_file(folder.get(), name);
    return std::move(file.text);
}

void remove_answer_file(const std::optional<std::filesystem::path>& git_dir,
                        const std::string& attempt_id)
{
    const auto folder = git_dir ? open_answers(*git_dir) : UniqueFd();
    if (!folder) return;
    (void)files::remove_file(folder.get(), text::file_name_of(attempt_id));
    error_code ec;
    const auto base = files::open_folder(*git_dir);
    const auto own =
        files::open_beneath(base.get(), own_folder, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    if (own) (void)::unlinkat(own.get(), answers_name, AT_REMOVEDIR);
}

}  // namespace autoexec::handoff
