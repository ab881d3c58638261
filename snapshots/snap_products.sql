{% snapshot snap_products %}

    {{
        config(
            unique_key='product_id',
            strategy='check',
            check_cols=[
                'manufacturer_id',
                'department',
                'brand_type',
                'product_category',
                'product_type',
                'package_size',
            ],
            hard_deletes='new_record',
        )
    }}

    {{ with_systems_not_built('products', ref('int_shared__products_unioned')) }}

{% endsnapshot %}
