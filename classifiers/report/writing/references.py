"""The sources that the written documents cite, as BibTeX.

Owns the entries, and that a document lists those it cites and no others. Refuses to know what they are cited
for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from classifiers.report.writing.words import Safe

__all__ = ["SOURCES", "Citations", "Source"]


@dataclass(frozen=True)
class Source:
    """One work.

    Attributes
    ----------
    said : str
        As a sentence names it.
    kind : str
        BibTeX's type of entry.
    fields : mapping of str to str
        In the order in which they are written.
    """

    said: str
    kind: str
    fields: dict[str, str]

    def bibtex(self, key: str) -> str:
        """The entry, without blank lines."""
        lines = [f"  {name} = {{{value}}}," for name, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{key},", *lines, "}"])


def _article(
    said: str, author: str, title: str, journal: str, volume: str, pages: str, year: str, doi: str = ""
) -> Source:
    number = {"number": volume.partition("(")[2].rstrip(")")} if "(" in volume else {}
    fields = {"author": author, "title": title, "journal": journal, "volume": volume.partition("(")[0]}
    rest = {"pages": pages, "year": year, **({"doi": doi} if doi else {})}
    return Source(said, "article", {**fields, **number, **rest})


def _talk(said: str, author: str, title: str, book: str, pages: str, year: str, doi: str = "") -> Source:
    fields = {"author": author, "title": title, "booktitle": book, "pages": pages}
    return Source(said, "inproceedings", {**fields, "year": year, **({"doi": doi} if doi else {})})


#: By key.
SOURCES: Final[dict[str, Source]] = {
    "kyara": Source(
        "kyara",
        "software",
        {
            "author": "{The kyara authors}",
            "title": "{kyara}: a cached feature store and an honest model zoo for image studies",
            "note": "Apache-2.0",
        },
    ),
    "altmann2010": _article(
        "Altmann et al. 2010",
        r"Altmann, Andr{\'e} and Tolo{\c{s}}i, Laura and Sander, Oliver and Lengauer, Thomas",
        "Permutation importance: a corrected feature importance measure",
        "Bioinformatics", "26(10)", "1340--1347", "2010", "10.1093/bioinformatics/btq134",
    ),
    "anderson2006": _article(
        "Anderson 2006",
        "Anderson, Marti J.",
        "Distance-based tests for homogeneity of multivariate dispersions",
        "Biometrics", "62(1)", "245--253", "2006", "10.1111/j.1541-0420.2005.00440.x",
    ),
    "bouckaert2004": _talk(
        "Bouckaert and Frank 2004",
        "Bouckaert, Remco R. and Frank, Eibe",
        "Evaluating the replicability of significance tests for comparing learning algorithms",
        "Advances in Knowledge Discovery and Data Mining (PAKDD)", "3--12", "2004",
        "10.1007/978-3-540-24775-3_3",
    ),
    "breiman2001": _article(
        "Breiman 2001",
        "Breiman, Leo",
        "Random forests",
        "Machine Learning", "45(1)", "5--32", "2001", "10.1023/A:1010933404324",
    ),
    "cao2018": _talk(
        "Cao et al. 2018",
        "Cao, Qiong and Shen, Li and Xie, Weidi and Parkhi, Omkar M. and Zisserman, Andrew",
        "{VGGFace2}: a dataset for recognising faces across pose and age",
        "IEEE International Conference on Automatic Face and Gesture Recognition (FG)", "67--74", "2018",
        "10.1109/FG.2018.00020",
    ),
    "deng2019": _talk(
        "Deng et al. 2019",
        "Deng, Jiankang and Guo, Jia and Xue, Niannan and Zafeiriou, Stefanos",
        "{ArcFace}: additive angular margin loss for deep face recognition",
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)", "4690--4699", "2019",
        "10.1109/CVPR.2019.00482",
    ),
    "field2007": _article(
        "Field and Welsh 2007",
        "Field, C. A. and Welsh, A. H.",
        "Bootstrapping clustered data",
        "Journal of the Royal Statistical Society: Series B", "69(3)", "369--390", "2007",
        "10.1111/j.1467-9868.2007.00593.x",
    ),
    "geirhos2020": _article(
        "Geirhos et al. 2020",
        r"Geirhos, Robert and Jacobsen, J{\"o}rn-Henrik and Michaelis, Claudio and Zemel, Richard and "
        "Brendel, Wieland and Bethge, Matthias and Wichmann, Felix A.",
        "Shortcut learning in deep neural networks",
        "Nature Machine Intelligence", "2(11)", "665--673", "2020", "10.1038/s42256-020-00257-z",
    ),
    "he2016": _talk(
        "He et al. 2016",
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        "Deep residual learning for image recognition",
        "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)", "770--778", "2016",
        "10.1109/CVPR.2016.90",
    ),
    "holm1979": _article(
        "Holm 1979",
        "Holm, Sture",
        "A simple sequentially rejective multiple test procedure",
        "Scandinavian Journal of Statistics", "6(2)", "65--70", "1979",
    ),
    "king2009": _article(
        "King 2009",
        "King, Davis E.",
        "Dlib-ml: a machine learning toolkit",
        "Journal of Machine Learning Research", "10", "1755--1758", "2009",
    ),
    "liang1986": _article(
        "Liang and Zeger 1986",
        "Liang, Kung-Yee and Zeger, Scott L.",
        "Longitudinal data analysis using generalized linear models",
        "Biometrika", "73(1)", "13--22", "1986", "10.1093/biomet/73.1.13",
    ),
    "lundberg2017": _talk(
        "Lundberg and Lee 2017",
        "Lundberg, Scott M. and Lee, Su-In",
        "A unified approach to interpreting model predictions",
        "Advances in Neural Information Processing Systems 30", "4765--4774", "2017",
    ),
    "mitchell2019": _talk(
        "Mitchell et al. 2019",
        "Mitchell, Margaret and Wu, Simone and Zaldivar, Andrew and Barnes, Parker and Vasserman, Lucy and "
        "Hutchinson, Ben and Spitzer, Elena and Raji, Inioluwa Deborah and Gebru, Timnit",
        "Model cards for model reporting",
        "Conference on Fairness, Accountability, and Transparency (FAT*)", "220--229", "2019",
        "10.1145/3287560.3287596",
    ),
    "nadeau2003": _article(
        "Nadeau and Bengio 2003",
        "Nadeau, Claude and Bengio, Yoshua",
        "Inference for the generalization error",
        "Machine Learning", "52(3)", "239--281", "2003", "10.1023/A:1024068626366",
    ),
    "parker2007": _article(
        "Parker et al. 2007",
        r"Parker, Brian J. and G{\"u}nter, Simon and Bedo, Justin",
        "Stratification bias in low signal microarray studies",
        "BMC Bioinformatics", "8", "326", "2007", "10.1186/1471-2105-8-326",
    ),
    "phipson2010": _article(
        "Phipson and Smyth 2010",
        "Phipson, Belinda and Smyth, Gordon K.",
        "Permutation {P}-values should never be zero: calculating exact {P}-values when permutations are "
        "randomly drawn",
        "Statistical Applications in Genetics and Molecular Biology", "9(1)", "39", "2010",
        "10.2202/1544-6115.1585",
    ),
    "platt1999": Source(
        "Platt 1999",
        "incollection",
        {
            "author": "Platt, John C.",
            "title": "Probabilistic outputs for support vector machines and comparisons to regularized "
            "likelihood methods",
            "booktitle": "Advances in Large Margin Classifiers",
            "publisher": "MIT Press",
            "pages": "61--74",
            "year": "1999",
        },
    ),
    "radford2021": _talk(
        "Radford et al. 2021",
        "Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel and "
        "Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and Clark, Jack and "
        "Krueger, Gretchen and Sutskever, Ilya",
        "Learning transferable visual models from natural language supervision",
        "International Conference on Machine Learning (ICML)", "8748--8763", "2021",
    ),
    "theiler1992": _article(
        "Theiler et al. 1992",
        r"Theiler, James and Eubank, Stephen and Longtin, Andr{\'e} and Galdrikian, Bryan and Farmer, J. "
        "Doyne",
        "Testing for nonlinearity in time series: the method of surrogate data",
        "Physica D: Nonlinear Phenomena", "58(1--4)", "77--94", "1992", "10.1016/0167-2789(92)90102-S",
    ),
    "tsamardinos2018": _article(
        "Tsamardinos et al. 2018",
        "Tsamardinos, Ioannis and Greasidou, Elissavet and Borboudakis, Giorgos",
        "Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation",
        "Machine Learning", "107(12)", "1895--1922", "2018", "10.1007/s10994-018-5714-4",
    ),
    "tukey1953": Source(
        "Tukey 1953",
        "unpublished",
        {
            "author": "Tukey, John W.",
            "title": "The problem of multiple comparisons",
            "note": "Mimeographed monograph, Princeton University",
            "year": "1953",
        },
    ),
}  # fmt: skip


@dataclass
class Citations:
    """What one document has cited so far."""

    keys: set[str] = field(default_factory=set)

    def cite(self, *keys: str) -> Safe:
        """Works in brackets, as a sentence names them.

        Raises
        ------
        KeyError
            If there is no such source.

        Examples
        --------
        >>> print(Citations().cite("nadeau2003", "bouckaert2004"))
        (Nadeau and Bengio 2003; Bouckaert and Frank 2004)
        """
        self.keys |= set(keys)
        return Safe(f"({'; '.join(SOURCES[key].said for key in keys)})")

    def bibtex(self) -> Safe:
        """The entries of all that was cited, and of kyara, by key."""
        entries = [SOURCES[key].bibtex(key) for key in ("kyara", *sorted(self.keys - {"kyara"}))]
        return Safe("```bibtex\n" + "\n".join(entries) + "\n```")
