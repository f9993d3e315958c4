from inbox.main.cli import main

main(prog_name="inbox")
