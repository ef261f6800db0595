int run_commands();

int main()
{
    return run_commands();
}
