from isobuilder.cli import main

main()
