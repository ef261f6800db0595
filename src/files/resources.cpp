#include "files/resources.hpp"

#include "files/safe_files.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>

namespace autoexec::files {

bool is_resource_shortage(error_code ec) noexcept
{
    if (ec == errc::no_resources) return true;
    if (ec.category() != boost::system::system_category()) return false;
    // EAGAIN: fork(2) reports it at the limit of processes.
    const int reason = ec.value();
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EAGAIN;
}

bool has_descriptors_left(unsigned count) noexcept
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
    // The lowest free number approximates the number of open descriptors.
    const UniqueFd lowest(::open("/", O_PATH | O_CLOEXEC));
    return lowest && static_cast<rlim_t>(lowest.get()) + count <= limit.rlim_cur;
}

}  // namespace autoexec::files
