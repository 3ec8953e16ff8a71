# SPDX-License-Identifier: MIT
# /// script
# dependencies = ["sqlalchemy>=2"]
# ///
"""SQLAlchemy models written here, over the guest's sqlite3.

`Author` and `Book` are classes of the host below the guest's `DeclarativeBase`: SQLAlchemy
makes tables of them, fills them, and gives back objects of these classes.

    pypy3 -m pybridge run demos/models.py
"""

import platform
import sys

import pybridge

try:
    sa = pybridge.import_module("sqlalchemy")
except ModuleNotFoundError as error:
    sys.exit(f"{error}: run me with `python -m pybridge run`, which installs what I need")
orm = pybridge.import_module("sqlalchemy.orm")

BOOKS = {
    "Ursula K. Le Guin": ["The Dispossessed", "The Lathe of Heaven"],
    "Stanislaw Lem": ["Solaris", "The Cyberiad", "Fiasco"],
}


class Base(orm.DeclarativeBase):
    """Of all models."""


class Author(Base):
    """Has books."""

    __tablename__ = "author"
    id = orm.mapped_column(sa.Integer, primary_key=True)
    name = orm.mapped_column(sa.String(60))
    books = orm.relationship("Book", back_populates="author", order_by="Book.title")

    @property
    def surname(self):
        """The last word of the name."""
        return self.name.rsplit(" ", 1)[-1]


class Book(Base):
    """Has an author."""

    __tablename__ = "book"
    id = orm.mapped_column(sa.Integer, primary_key=True)
    title = orm.mapped_column(sa.String(90))
    author_id = orm.mapped_column(sa.ForeignKey("author.id"))
    author = orm.relationship("Author", back_populates="books")

    def label(self):
        """As on a shelf."""
        return f"{self.author.surname}: {self.title}"


def main():
    """Store the books, and ask for some."""
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        for name, titles in BOOKS.items():
            session.add(Author(name=name, books=[Book(title=title) for title in titles]))
        session.commit()
        query = sa.select(Book).join(Author).where(Author.name.contains("Lem"))
        found = session.scalars(query.order_by(Book.title)).all()
        labels = [book.label() for book in found]
        own = all(type(book) is Book for book in found)
        total = session.scalar(sa.select(sa.func.count(Book.id)))
    print(
        f"models: {platform.python_implementation()} stored {total} books and found "
        f"{len(labels)}, objects of its own class: {own}; {'; '.join(labels)}"
    )


if __name__ == "__main__":
    main()
