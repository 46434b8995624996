"""What LightRec is compared with: other ways to make items small."""
