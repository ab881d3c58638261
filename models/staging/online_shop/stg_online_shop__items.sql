-- Entity: products. The shop's category is the retailer's department; nothing is below it.
with source as (

    select * from {{ source('online_shop', 'items') }}

),

renamed as (

    select
        -- ids
        {{ source_key('online_shop', 'id') }} as product_id,
        cast(null as {{ dbt.type_string() }}) as manufacturer_id,

        -- strings
        title,
        category as department,
        case
            when own_brand then 'Private'
            when not own_brand then 'National'
        end as brand_type,
        cast(null as {{ dbt.type_string() }}) as product_category,
        cast(null as {{ dbt.type_string() }}) as product_type,
        cast(null as {{ dbt.type_string() }}) as package_size,
        _dlt_load_id as load_id

    from source

)

select * from renamed
